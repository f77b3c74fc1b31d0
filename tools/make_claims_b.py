"""Turn the rows that study B prints into claims.

    python tools/make_claims_b.py [--out FOLDER]

``data/claims/tables_b.csv`` is the transcription: its 446 rows as printed, copied from
the paper by hand.  ``data/claims/study_b.csv`` is made from it, one claim for each
number or statement, as :mod:`sudlib.book.claims` reads it.
"""

import argparse
import re
from pathlib import Path

import sources

from sudlib.oklahoma import coding

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
    "The discharge file of 2019 says only whether a person was treated before, not how"
    " often: the study's classes 0 to 3 cannot be rebuilt from it."
)
NO_CONDITION = (
    "The study does not name the attribute on which it conditions, or say whether the"
    " ratio is one of predictions or of its weights."
)
NO_WEIGHTS = (
    "The study does not say how its weight entered the model. In most of our readings"
    " the weight is close to 1 for nearly every row and changes little."
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


def is_number(text):
    """Tell whether a printed cell is a number."""
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def target_of(record):
    """Return the target that a record is about, by its values."""
    return TARGETS.get(record.get("dataset"), TARGETS["COMPLETED"])


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

    variable = record.get("variable", "")
    small, named = slug(variable), coding.WORDS.get(variable, variable)
    balanced = {"model": "labels or predictions", "kind": "share"}
    if table == "T_DI_multi":
        yield claim(
            f"disparate_impact.{small}.{record['class']}",
            f"disparate impact, {named}, class {record['class']}",
            record["value"],
            **balanced | {"kind": "ratio"},
            condition=f"printed verdict {record['printed_flag']}",
        )
    elif table == "T_SPD_binary":
        if "group" not in record:
            yield claim(
                f"parity_difference.{small}",
                f"statistical parity difference, {named}",
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
                f"at least one difference is 0, {named}",
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
                    f"{metric}, {named}, class {record['class']}",
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
            swapped = placed and placed != record["dataset"]
            yield claim(
                f"{short}.{kind}.{small}.{last}",
                f"{metric}, {named}",
                record[field],
                model=model,
                condition=f"C = {record['C']}; printed verdict"
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
                if not is_number(record["value"])
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
        raise sources.InputError(
            f"row {record['row']} of tables_b.csv is of the table {table!r}, which no"
            " claim is made of"
        )


def claims_of_prose(record, claim):
    """Yield the claim of one statement in the text."""
    measure, value = record["measure"], record["value"]
    model = MODELS.get(record.get("model"))
    if measure == "accuracy_percent":
        weighted = record["reweighted"] == "True" and "svm" in model[0]
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
            str(round(100 * float(value))),
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
    elif measure == "compas_47_7_percent":
        yield claim("", "what 47.7% of them were", value) | {
            "key": "b.introduction.compas",
            "cohort": "white defendants (COMPAS)",
            "kind": "words",
            "decimals": "",
            "condition": "cited from Dressel and Farid (2018)",
        }
    else:
        name = {"grid": f"{model[0]}.grid"} if model else {}
        yield claim(
            name.get(measure, f"setting.{measure.lower()}"),
            measure.replace("_", " "),
            value,
            model=model[1] if model else "settings",
            # What won is a result; what was tried, and the thresholds, are settings.
            kind="words" if measure == "best_svm_hyperparameters" else "input",
            decimals="",
        )


def read_printed(path):
    """Return the printed rows, each with the fields that it has."""
    rows = sources.read_rows(path)
    records = [{name: text for name, text in row.items() if text} for row in rows]
    numbers = [record.get("row") for record in records]
    if numbers != [str(number) for number in range(1, len(rows) + 1)]:
        raise sources.InputError(
            f"the rows of {path} must be numbered 1 to {len(rows)}, in that order"
        )
    return records


def claims(records):
    """Return the claims of all printed rows, each key once."""
    found, columns = {}, 0
    for record in records:
        columns += record["table"] == "T_variables"
        for claim in claims_of(record, columns):
            row = {name: str(claim.get(name, "")) for name in COLUMNS}
            # A table prints its numbers to the same decimals, also a 1 or a 0.7.
            if row["decimals"]:
                row["value"] = f"{float(row['value']):.{row['decimals']}f}"
            before = found.setdefault(row["key"], row)
            if before["value"] != row["value"]:
                raise sources.InputError(
                    f"{row['key']} is printed as {before['value']} and, in row"
                    f" {record['row']} of tables_b.csv, as {row['value']}"
                )
            if before is not row and not before["condition"]:
                before["condition"] = row["condition"]
    return list(found.values())


def make(out, base=sources.DATA):
    """Write ``claims/study_b.csv`` below ``out`` from the transcription in ``base``."""
    records = read_printed(base / "claims/tables_b.csv")
    table = claims(records)
    sources.write_rows(out / "claims/study_b.csv", table)
    return len(records), len(table)


def main(words=None):
    """Write the claims."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=sources.DATA)
    print("{} printed rows, {} claims".format(*make(parser.parse_args(words).out)))
    return 0


if __name__ == "__main__":
    sources.run(main)
