"""Make the joint tables that others printed from the real files: ``data/twin``.

    python tools/make_joints.py --from FOLDER

``FOLDER`` holds the tables as their authors published them (``data/sources.csv`` says
where), and a sample of the admissions of 2020, of which only counts of ten people and
more are kept.  No row of a person is written.
"""

import argparse
from pathlib import Path

import pandas as pd
import sources

from sudlib import twin

LEAST = 10  # people in a cell that is kept
ADMITTED = "GENDER RACE ETHNIC AGE EDUC EMPLOY LIVARAG PRIMINC".split()
SUBSTANCES = {
    "Alcohol": 2,
    "Heroin": 5,
    "Cannabis": 4,
    "Methamphetamine": 10,
    "Other opioids": 7,
    "Cocaine": 3,
}
RACES = {
    "Alaska Native": 1,
    "American Indian": 2,
    "Asian/Pacific Islander": 3,
    "Black/African American": 4,
    "White": 5,
    "Asian": 6,
    "Other single race": 7,
    "Two or more races": 8,
    "Native Hawaiian/Pacific Islander": 9,
}


def sub1_by_state(folder):
    """Return how many discharges of 2019 each state has by primary substance."""
    table = pd.read_csv(folder / "teds_d_2019_stfips_x_sub1.csv")
    wide = table.pivot(index="STFIPS_code", columns="SUB1_code", values="COUNT")
    return wide.fillna(0).astype(int).rename_axis("state").reset_index()


def outpatient_by_state(folder):
    """Return people, completions and women of SERVICES_D 7, by state and year."""
    table = pd.read_csv(folder / "tedsd_services_d7_state_year_completion_sex.csv")
    names = pd.read_csv(folder / "teds_d_2019_stfips_x_sub1.csv")
    names = names.drop_duplicates("STFIPS_code")
    code = dict(zip(names["STFIPS"].str.upper(), names["STFIPS_code"], strict=True))
    made = pd.DataFrame(
        {
            "state": table["STATE"].map(code),
            "year": table["DISYR"],
            "people": table["N_SERVICES_D_7"],
            "completed": table["REASON_1_count"],
            "women": table["FEMALE"],
        }
    )
    return made[made["year"].isin(twin.YEARS)].sort_values(["state", "year"])


def people_by_state(folder):
    """Return admissions of 2020 by state and code, where nothing is missing."""
    rows = pd.read_csv(folder / "teds_a_2020_174664_rows.csv.gz")
    parts = []
    for name in ADMITTED:
        counts = rows.groupby(["STFIPS", name]).size().rename("people").reset_index()
        counts.columns = ["state", "code", "people"]
        parts.append(counts.assign(variable=name))
    sizes = rows.groupby("STFIPS").size().rename("people").reset_index()
    sizes.columns = ["state", "people"]
    parts.append(sizes.assign(variable="all", code=0))
    made = pd.concat(parts)[["variable", "state", "code", "people"]]
    race = pd.read_csv(folder / "tedsd_oklahoma_services_d7_race_2009_2019.csv")
    race = race[race["DISYR"].between(2015, 2019)].sum()
    columns = {"AMERICAN INDIAN": 2, "BLACK": 4, "WHITE": 5, "TWO OR MORE RACES": 8}
    columns |= {"ASIAN": 6}
    more = pd.DataFrame(
        [("RACE", 40, code, int(race[name])) for name, code in columns.items()],
        columns=made.columns,
    )
    made = pd.concat([made, more])
    return made[made["people"] >= LEAST]


def left_by_level(folder):
    """Return who left (REASON 2 of 1 and 2) in 2015 to 2020 and 2022."""
    table = pd.read_csv(folder / "left_by_level_2015_2022.csv")
    ages = dict(
        zip(table.query("variable == 'AGE'")["group"], range(1, 13), strict=True)
    )
    words = {"Primary substance": SUBSTANCES, "RACE": RACES, "AGE": ages}
    words["GENDER"] = {"Male": 1, "Female": 2}
    lines = []
    for row in table.itertuples():
        name = "SUB1" if row.variable == "Primary substance" else row.variable
        if row.variable in ("Overall", "Discharge year"):
            name = {"Overall": "all"}.get(row.variable, "DISYR")
            code = 0 if name == "all" else int(row.group)
        elif row.group == "Missing":
            code = -9
        else:
            known = words.get(row.variable)
            code = known[row.group] if known else int(row.group.split()[-1])
        lines.append((name, code, row.n, row.dropout))
    return pd.DataFrame(lines, columns=["variable", "code", "people", "left"])


def logistic_2017(folder):
    """Return the coefficients of three logistic regressions of 2017."""
    parts = []
    for model, file in (
        ("opioids", "opioid_completion_2017_glm.csv"),
        ("alcohol", "alc_completion_2017_glm.csv"),
        ("opioids left", "opioid_dropout_2017_glm.csv"),
    ):
        table = pd.read_csv(folder / file)
        parts.append(
            pd.DataFrame(
                {
                    "model": model,
                    "term": table["term"],
                    "estimate": table["estimate"].round(4),
                    "error": table["std_error"].round(4),
                }
            )
        )
    return pd.concat(parts)


# What stands in text, not in a table, with who printed it.
AREAS = {  # completed against left, by 15 variables known at admission
    "boosting": 0.785,
    "logistic": 0.753,
    "boosting, 10,000 rows": 0.745,
    "within a state": 0.719,
    "Oklahoma": 0.689,
}
COMPLETED = {  # SERVICES 4 and 5 in 2017, by SUB1
    "opioids": 46_576 / 99_257,
    "alcohol": 55_121 / 95_209,
    "cocaine": 12_812 / 26_619,
    "methamphetamine": 27_191 / 58_767,
    "marijuana": 10_664 / 23_490,
}


def real_figures(folder):
    """Return single figures: areas, completion, importances and one ROC curve."""
    lines = [("area", name, value) for name, value in AREAS.items()]
    lines += [("residential", name, round(v, 4)) for name, v in COMPLETED.items()]
    trees = pd.read_csv(folder / "forest_2019_importances.csv")
    lines += [
        ("importance", row.Feature, round(row[2], 4))
        for row in trees.itertuples()
        if row[2] > 0
    ]
    curve = pd.read_csv(folder / "roc_forest_2019_37states_28features.csv")
    curve = curve.drop_duplicates("fpr").set_index("fpr")["tpr"]
    for false in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7):
        near = curve.index[abs(curve.index - false).argmin()]
        lines.append(("roc", f"{near:.4f}", round(curve[near], 4)))
    return pd.DataFrame(lines, columns=["kind", "key", "value"])


TABLES = {
    "sub1_by_state": sub1_by_state,
    "outpatient_by_state": outpatient_by_state,
    "people_by_state": people_by_state,
    "left_by_level": left_by_level,
    "logistic_2017": logistic_2017,
    "real_figures": real_figures,
}


class _Folder:
    """A folder whose files are found by name, however deep they lie."""

    def __init__(self, root):
        self.root = Path(root)

    def __truediv__(self, name):
        found = sorted(self.root.rglob(name))
        if not found:
            raise sources.InputError(f"{name} is not in {self.root}")
        return found[0]


def make(folder, out, only=None):
    """Write the tables below ``out/twin``; return their names."""
    target = out / "twin"
    target.mkdir(parents=True, exist_ok=True)
    made = []
    for name, build in TABLES.items():
        if only in (None, name):
            table = build(_Folder(folder))
            table.to_csv(target / f"{name}.csv", index=False, lineterminator="\n")
            made.append(f"twin/{name}.csv")
    return made


def main(words=None):
    """Write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--from", dest="folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=sources.DATA)
    asked = parser.parse_args(words)
    print("\n".join(make(asked.folder, asked.out)))
    return 0


if __name__ == "__main__":
    sources.run(main)
