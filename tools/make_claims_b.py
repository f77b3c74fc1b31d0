"""Turn the printed numbers of study B into ``data/claims``.

    python tools/make_claims_b.py PRINTED.json [FOLDER]

PRINTED.json holds one record for each row that study B prints (446).  Written are

* ``study_b.csv``: one claim for each number or statement, as
  :mod:`sudlib.book.claims` reads it;
* ``tables_b.csv``: the rows as printed, for the page that holds them against each
  other.
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd

COLUMNS = [
    *("key", "cohort", "model", "metric", "kind", "value", "decimals"),
    *("standard_error", "exact", "condition", "where", "years", "rows", "same_as"),
    "reason",
]

TARGETS = {
    "COMPLETED": ("completed", "whether treatment was completed", 743),
    "NOPRIOR": ("noprior", "number of prior treatments", 738),
    "COMPLETED_NOPRIOR": ("completed_noprior", "both together", 740),
}

MODELS = {
    "Linear": ("svm_linear", "support vector machine, linear"),
    "Poly": ("svm_poly", "support vector machine, polynomial"),
    "RBF": ("svm_rbf", "support vector machine, RBF"),
    "Sigmoid": ("svm_sigmoid", "support vector machine, sigmoid"),
    "DecisionTree": ("tree", "decision tree"),
    "RandomForest": ("forest", "random forest"),
    "NeuralNetwork": ("network", "neural network"),
    "SVM poly": ("svm_poly", "support vector machine, polynomial"),
    "SVM RBF": ("svm_rbf", "support vector machine, RBF"),
    "SVM linear": ("svm_linear", "support vector machine, linear"),
    "SVM poly-wgt": (
        "svm_poly_weighted",
        "support vector machine, polynomial, reweighted",
    ),
    "SVM RBF-wgt": ("svm_rbf_weighted", "support vector machine, RBF, reweighted"),
    "reweighted": ("weighted", "reweighted model"),
}

NO_CLASSES = (
    "The file of 2019 records prior treatments as none or one and more: the study's"
    " classes 0 to 3 cannot be rebuilt from it."
)
NO_CONDITION = (
    "The study names no attribute to condition on, and does not say whether the ratio"
    " is of predictions or of its weights."
)
NO_WEIGHTS = (
    "The study does not say how its weight entered the model; taken literally it is 1"
    " for every row."
)

NETWORK = {
    "Number of Layers": ("layers", "hidden layers"),
    "Number of Neurons Layer 1": ("neurons_1", "units in layer 1"),
    "Number of Neurons Layer 2": ("neurons_2", "units in layer 2"),
    "Activation Function": ("activation", "activation function"),
    "Network Optimizer": ("optimizer", "optimizer"),
    "Loss Function": ("loss", "loss function"),
    "Epoch": ("epochs", "epochs"),
    "Accuracy": ("accuracy", "accuracy, %"),
}

RATIOS = {
    "worst_case_demographic_parity_ratio": (
        "demographic_parity_ratio",
        "worst-case demographic parity ratio, %",
    ),
    "conditional_statistical_parity_ratio": (
        "conditional_parity_ratio",
        "worst-case conditional statistical parity ratio, %",
    ),
    "equal_opportunity_ratio": (
        "equal_opportunity_ratio",
        "worst-case equal opportunity ratio, %",
    ),
    "equalized_odds_ratio": (
        "equalized_odds_ratio",
        "worst-case equalized odds ratio, %",
    ),
    "all_worst_case_ratios_except_equal_odds": (
        "worst_case_ratios",
        "all worst-case ratios but equalized odds, %",
    ),
}


def slug(text):
    """Return a text as a part of a key."""
    return re.sub(r"[^a-z0-9]+", "_", str(text).lower()).strip("_")


def plain(value):
    """Return a number as text without a needless ``.0``."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def target_of(record):
    """Return the target that a record is about, by its values."""
    name = str(record.get("dataset", "COMPLETED")).split(" ")[0]
    return TARGETS.get(name, TARGETS["COMPLETED"])


def claims_of(record, number):
    """Yield the claims of one printed row."""
    table = record["table"]
    stem, cohort, rows = target_of(record)
    base = {
        "cohort": cohort,
        "years": "2019",
        "where": f"section {record['section'].replace(' floats', '')}",
        "reason": "" if stem == "completed" else NO_CLASSES,
        "decimals": "2",
        "kind": "score",
    }

    def claim(key, metric, value, **more):
        row = base | {"key": f"b.{stem}.{key}", "metric": metric, "value": value}
        return row | more

    variable = str(record.get("variable", ""))
    small = slug(variable)
    balanced = {"model": "labels, balanced", "kind": "share"}
    if table == "T_DI_multi":
        yield claim(
            f"disparate_impact.{small}.{record['class']}",
            f"disparate impact, {variable}, class {record['class']}",
            record["value"],
            **balanced | {"kind": "ratio"},
            condition=f"printed verdict {record['printed_flag']}",
        )
    elif table == "T_SPD_binary":
        if record["group"] is None:
            yield claim(
                f"parity_difference.{small}",
                f"statistical parity difference, {variable}",
                record["value"],
                **balanced,
            )
        else:
            yield claim(
                f"positive_rate.{small}.{slug(record['group'])}",
                f"positive rate, {record['group']}",
                record["value"],
                **balanced,
            )
    elif table == "T_SPD_multi":
        if record["measure"] == "at_least_one_SPD_zero":
            yield claim(
                f"parity_satisfied.{small}",
                f"at least one difference is 0, {variable}",
                record["value"],
                **balanced | {"kind": "words", "decimals": ""},
            )
        else:
            for key, metric, field in (
                ("parity_difference", "statistical parity difference", "value"),
                ("max_threshold", "max threshold", "max_threshold"),
            ):
                yield claim(
                    f"{key}.{small}.{record['class']}",
                    f"{metric}, {variable}, class {record['class']}",
                    record[field],
                    **balanced,
                )
    elif table.startswith("T_EqO"):
        short, model = MODELS[record["model"]]
        kind = "equal_opportunity" if "Opp" in table else "equalized_odds"
        fields = {
            "max_tpr": "largest true positive rate",
            "min_tpr": "smallest true positive rate",
            "max_fpr": "largest false positive rate",
            "min_fpr": "smallest false positive rate",
            "tpr_diff": "difference of true positive rates",
            "fpr_diff": "difference of false positive rates",
            "diff": "equal opportunity difference",
            "eqodds_diff": "equalized odds difference",
            "eod_diff": "equalized odds difference",
        }
        for field, metric in fields.items():
            if field not in record:
                continue
            last = (
                "difference"
                if field in ("diff", "eqodds_diff", "eod_diff")
                else (field.replace("_diff", "_difference"))
            )
            placed = record.get("dataset_as_placed", "")
            swapped = placed and placed.split(" ")[0] != record["dataset"].split(" ")[0]
            yield claim(
                f"{short}.{kind}.{small}.{last}",
                f"{metric}, {variable}",
                record[field],
                model=model,
                condition=f"C = {plain(record['C'])}; printed verdict"
                f" {record['printed_flag']}"
                + ("; printed in the other target's table" if swapped else ""),
            )
    elif table == "T_clf_report":
        short, model = MODELS[record["model"]]
        if "class" in record:
            of = slug(record["class"])
            for field in ("precision", "recall", "f1"):
                yield claim(
                    f"{short}.{of}.{field}",
                    f"{field}, class {record['class']}",
                    record[field],
                    model=model,
                    rows=rows,
                )
            yield claim(
                f"{short}.{of}.support",
                f"people of class {record['class']} in the test set",
                record["support"],
                model=model,
                kind="count",
                decimals="",
                rows=rows,
            )
        else:
            yield claim(
                f"{short}.accuracy",
                "accuracy, %",
                record["value"],
                model=model,
                rows=rows,
                decimals="0" if float(record["value"]).is_integer() else "2",
            )
    elif table == "T_NN":
        short, model = MODELS[record["model"]]
        if "class" in record:
            yield claim(
                f"{short}.{slug(record['class'])}.{record['measure']}",
                f"{record['measure']}, class {record['class']}",
                record["value"],
                model=model,
                rows=rows,
            )
        else:
            key, metric = NETWORK[record["measure"]]
            kind = (
                "words"
                if isinstance(record["value"], str)
                else "score"
                if key == "accuracy"
                else "count"
            )
            yield claim(
                f"{short}.{key}",
                metric,
                record["value"],
                model=model,
                kind=kind,
                decimals="2" if key == "accuracy" else "",
                rows=rows if key == "accuracy" else "",
                reason=base["reason"] if key == "accuracy" else "",
            )
    elif table == "T_variables":
        place = f"{number:02d}"
        yield {
            **base,
            "key": f"b.columns.{place}.{slug(variable)}",
            "cohort": "the encoded columns",
            "model": "",
            "metric": f"meaning of {variable}",
            "kind": "input",
            "value": record["meaning"],
            "decimals": "",
            "reason": NO_CLASSES if variable.startswith("NOPRIOR") else "",
        }
    elif table == "prose":
        yield from claims_of_prose(record, claim)
    else:
        raise SystemExit(f"unknown table {table!r} in line {record.get('line')}")


def claims_of_prose(record, claim):
    """Yield the claim of one statement in the text."""
    measure, value = record["measure"], record["value"]
    model = MODELS.get(record.get("model"))
    if measure == "accuracy_percent":
        weighted = record["reweighted"] and "svm" in model[0]
        condition = f"C = {record['C']}" if "C" in record else ""
        yield claim(
            f"{model[0]}.accuracy",
            "accuracy, %",
            value,
            model=model[1],
            condition=condition,
            **({"reason": NO_WEIGHTS} if weighted else {}),
        )
    elif measure in RATIOS:
        key, metric = RATIOS[measure]
        yield claim(
            f"weighted.{key}",
            metric,
            round(100 * value),
            model=model[1],
            decimals="0",
            reason=NO_CONDITION if "conditional" in key else NO_WEIGHTS,
        )
    elif measure == "share_completing_percent_approx":
        yield claim(
            "share",
            "people who complete, %",
            value,
            model="",
            decimals="0",
            condition="roughly",
            kind="share",
        )
    else:
        name = {"grid": f"{model[0]}.grid"} if model else {}
        text = value if isinstance(value, str) else json.dumps(value)
        yield claim(
            name.get(measure, f"setting.{measure.lower()}"),
            measure.replace("_", " "),
            text,
            model=model[1] if model else "settings",
            # What won is a result; what was tried, and the thresholds, are settings.
            kind="words" if measure == "best_svm_hyperparameters" else "input",
            decimals="",
        )


def rows_as_printed(records):
    """Return the printed rows, one line each, as a table of text."""
    order = [
        *("table", "section", "dataset", "dataset_as_placed", "variable"),
        *("printed_variable", "group", "class", "model", "C", "measure", "value"),
        *("max_threshold", "max_tpr", "min_tpr", "max_fpr", "min_fpr", "diff"),
        *("tpr_diff", "fpr_diff", "eqodds_diff", "eod_diff", "precision", "recall"),
        *("f1", "support", "reweighted", "printed_flag", "meaning", "note"),
    ]
    known = {*order, "threshold", "line"}
    unknown = {key for record in records for key in record} - known
    if unknown:
        raise SystemExit(f"fields that are not written: {sorted(unknown)}")
    lines = []
    for number, record in enumerate(records, 1):
        line = {"row": number}
        for key in order:
            value = record.get(key)
            if isinstance(value, dict | list):
                value = json.dumps(value)
            line[key] = "" if value is None else plain(value)
        line["dataset"] = line["dataset"].split(" ")[0]
        line["dataset_as_placed"] = line["dataset_as_placed"].split(" ")[0]
        lines.append(line)
    return pd.DataFrame(lines)


def main():
    """Write both files."""
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    source = Path(sys.argv[1])
    here = Path(__file__).resolve().parent.parent / "data" / "claims"
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else here
    records = json.loads(source.read_text(encoding="utf-8"))["records"]
    found, columns = {}, 0
    for record in records:
        columns += record["table"] == "T_variables"
        for claim in claims_of(record, columns):
            row = {name: claim.get(name, "") for name in COLUMNS}
            # A table prints its numbers to the same decimals, also a 1 or a 0.7.
            if row["decimals"]:
                row["value"] = f"{float(row['value']):.{row['decimals']}f}"
            row["value"] = plain(row["value"])
            before = found.setdefault(row["key"], row)
            if before["value"] != row["value"]:
                raise SystemExit(f"{row['key']} is printed with two values")
            if before is not row and not before["condition"]:
                before["condition"] = row["condition"]
    table = pd.DataFrame(found.values(), columns=COLUMNS)
    table.to_csv(folder / "study_b.csv", index=False)
    printed = rows_as_printed(records)
    printed.to_csv(folder / "tables_b.csv", index=False)
    print(f"{len(records)} printed rows, {len(table)} claims")


if __name__ == "__main__":
    main()
