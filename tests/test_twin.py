"""The twin is held against the published tables, its own rules and itself."""

import doctest
import functools
import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sudlib import twin
from sudlib.files import InputError
from sudlib.teds import codebook, cohorts
from sudlib.twin import (
    completion,
    fidelity,
    mechanisms,
    parameters,
    reasons,
    sampler,
    scorecard,
    specification,
)
from sudlib.twin.parameters import read_parameters
from sudlib.twin.reasons import _systematic, completed_by_group, ending_chances
from sudlib.twin.sampler import add_derived, add_flags, cut
from sudlib.twin.specification import Part

FULL_BYTES = 318_572_676  # the agency's CSV file of 2019
SIZES_2018 = {"general": 622_821, "methadone": 167_301}  # study A
SHARES_2018 = {"general": 0.3795, "methadone": 0.202}


@pytest.fixture(scope="module")
def records():
    """Return 200,000 records of 2019."""
    return twin.sample(2019, rows=200_000, seed=1)


def assert_structure(records):
    broken = twin.check_structure(records)
    assert broken.broken.sum() == 0, broken[broken.broken > 0].to_string()


# ---------------------------------------------------------------- form


def test_schema_is_the_official_one(records):
    assert list(records.columns) == list(codebook.COLUMNS) == codebook.variables(2019)
    kinds = records.dtypes.astype(str).to_dict()
    assert kinds.pop("CASEID") == "int64"
    assert kinds.pop("CBSA2010") == "int32"
    assert kinds.pop("DISYR") == "int16"
    assert set(kinds.values()) == {"int8"}


def test_attrs_say_that_it_is_synthetic(records):
    assert records.attrs["synthetic"] is True
    assert records.attrs["data"] == "twin"
    assert records.attrs["years"] == [2019]
    assert records.attrs["rows_in_file"] == 200_000


def test_rows_are_ordered_by_state_as_the_official_files_are(records):
    postal = {int(row["STFIPS"]): row["postal"] for row in twin.read_states()}
    letters = records.STFIPS.map(postal)
    assert letters.is_monotonic_increasing
    assert (letters.iloc[0], letters.iloc[-1]) == ("AK", "WY")


def test_areas_belong_to_their_state_and_are_missing_as_often_as_published(records):
    allowed = {
        int(row["STFIPS"]): {-9, *map(int, row["areas"].split("|"))}
        for row in twin.read_states()
    }
    pairs = records[["STFIPS", "CBSA2010"]].drop_duplicates()
    assert all(area in allowed[state] for state, area in pairs.to_numpy())
    assert (records.CBSA2010 == -9).mean() == pytest.approx(
        704_011 / 1_722_503, abs=0.005
    )


def test_divisions_of_the_states_add_up_to_the_codebook():
    states = pd.DataFrame(twin.read_states()).astype({"STFIPS": int})
    for year in twin.YEARS:
        table = codebook.frequencies(year)
        rows = table[table.variable == "STFIPS"].set_index("code").frequency
        for name in ("DIVISION", "REGION"):
            group = states.set_index("STFIPS")[name].astype(int).reindex(rows.index)
            wanted = table[table.variable == name].set_index("code").frequency
            assert rows.groupby(group).sum().to_dict() == wanted.to_dict()


# ---------------------------------------------------------------- structure


@pytest.mark.parametrize("year", twin.YEARS)
def test_structure_is_exact_in_every_year(year):
    assert_structure(twin.sample(year, rows=100_000, seed=year))


@settings(max_examples=12, deadline=None)
@given(
    year=st.sampled_from(twin.YEARS),
    rows=st.integers(1, 4000),
    seed=st.integers(0, 2**70),
)
def test_structure_is_exact_for_any_rows_and_seed(year, rows, seed):
    drawn = twin.sample(year, rows=rows, seed=seed)
    assert len(drawn) == rows
    assert_structure(drawn)


@pytest.mark.parametrize(
    ("column", "value", "where"),
    [
        ("SUB2", 2, "SUB1 == 2"),
        ("PREG", 2, "GENDER == 1"),
        ("DETNLF", 2, "EMPLOY == 1"),
        ("DETCRIM", 2, "PSOURCE == 1"),
        ("ROUTE1", 1, "SUB1 == 1"),
        ("HERFLG", 1, "SUB1 == 2 and SUB2 == 1"),
        ("REGION", 1, "STFIPS == 6"),
        ("FRSTUSE1", 7, "AGE == 2 and SUB1 == 4"),
        ("IDU", 1, "SUB1 == 1"),
        ("ALCDRUG", 0, "SUB1 == 2"),
        ("AGE", 13, "SUB1 == 2"),
        ("CASEID", 20190000001, "index < 2"),
    ],
)
def test_a_broken_rule_is_seen(records, column, value, where):
    spoiled = records.copy()
    place = spoiled.query(where).index[:2]
    spoiled.loc[place, column] = value
    assert twin.check_structure(spoiled).broken.sum() > 0


def test_each_rule_counts_its_own_records_and_no_others():
    """One good record is spoiled in one way at a time."""
    good = twin.sample(2019, rows=3000, seed=3)
    good = good[(good.SUB1 == 2) & (good.SUB2 == 4) & (good.SUB3 == 1)].head(3).copy()
    assert len(good) == 3 and twin.check_structure(good).broken.sum() == 0
    for changes, rule in (
        ({"SUB2_D": 3, "SUB3_D": 3}, "no substance is named twice at discharge"),
        ({"SUB1_D": 3, "SUB2_D": 1, "SUB3_D": 3}, "no substance is named twice at dis"),
        ({"SUB1_D": 1, "SUB2_D": 2}, "no substance follows where none is named at dis"),
        (
            {"SUB2_D": -9, "SUB3_D": 2},
            "no substance follows where none is named at dis",
        ),
        ({"ROUTE3": 1}, "no route, frequency or first use without SUB3"),
        ({"FREQ3": 1}, "no route, frequency or first use without SUB3"),
        ({"FRSTUSE3": 1}, "no route, frequency or first use without SUB3"),
        ({"SUB3_D": 1, "FREQ3_D": 2}, "no frequency at discharge without SUB3_D"),
        ({"COKEFLG": 1}, "the 18 flags say what SUB1 to SUB3 say"),
        ({"CASEID": 20180000001}, "CASEID is the year and seven digits, each once"),
        ({"DIVISION": 99}, "DIVISION is that of the state"),
        ({"FRSTUSE2": 8}, "no first use at an age not reached yet"),
        ({"MARSTAT": 5}, "every code is in the year's codebook"),
    ):
        spoiled = good.copy()
        for name, code in changes.items():
            spoiled.loc[good.index[0], name] = code
        table = twin.check_structure(spoiled).set_index("rule").broken
        (found,) = [count for name, count in table.items() if name.startswith(rule)]
        assert found == 1, rule
    lowest, highest = 2019 * 10**7, 2020 * 10**7 - 1
    good["CASEID"] = [lowest, highest, lowest + 5]
    assert twin.check_structure(good).broken.sum() == 0


# ---------------------------------------------------------------- margins


@pytest.mark.parametrize("year", twin.YEARS)
def test_margins_match_the_codebook(year):
    drawn = twin.sample(year, rows=200_000, seed=5)
    table = twin.compare_margins(drawn).set_index("variable")
    assert len(table) == 74
    # What chance alone would show at this size is added to the promise of 0.01.
    late = table[table.distance > 0.01 + table.chance]
    assert late.empty, late.to_string()
    assert table.distance.median() < 0.003


def test_compare_margins_counts_by_hand():
    drawn = twin.sample(2018, rows=3000, seed=2)
    table = codebook.frequencies(2018).query("variable == 'REASON'")
    shares = table.set_index("code").frequency / codebook.size(2018)
    have = drawn.REASON.value_counts(normalize=True)
    by_hand = have.sub(shares, fill_value=0).abs().sum() / 2
    found = twin.compare_margins(drawn).set_index("variable").distance["REASON"]
    assert found == pytest.approx(by_hand)


def test_correlations_match_the_published_table(records):
    gap = twin.compare_correlations(records)
    gap = np.abs(gap.to_numpy()[np.triu_indices(29, 1)])
    # The standard error of a correlation at this size is at most 0.0022.
    assert gap.mean() <= 0.03
    assert gap.max() <= 0.12 + 3 * 0.0022


def test_discharge_variables_stay_close_to_their_admission_twin(records):
    stay = {
        "SERVICES": 0.95,
        "SUB1": 0.7,
        "SUB2": 0.8,
        "SUB3": 0.85,
        "EMPLOY": 0.7,
        "LIVARAG": 0.7,
        "ARRESTS": 0.75,
        "FREQ_ATND_SELF_HELP": 0.6,
    }
    for name, least in stay.items():
        assert (records[name] == records[f"{name}_D"]).mean() > least, name


# ---------------------------------------------------------------- cohorts, completion


def test_places_are_states_in_and_out_of_outpatient_treatment():
    found = completion.find_places(np.array([0, 0, 51, 51]), np.array([5, 6, 6, 7]))
    assert found.tolist() == [0, 1, 103, 102]


def test_cohorts_of_study_a_have_their_size_and_completion():
    drawn = twin.sample(2018, rows=400_000, seed=3)
    part = len(drawn) / codebook.size(2018)
    for name, find in (("general", cohorts.general), ("methadone", cohorts.methadone)):
        cohort = find(drawn)
        error = 3 * np.sqrt(SIZES_2018[name] * part)
        assert abs(len(cohort) - SIZES_2018[name] * part) < (
            0.03 * SIZES_2018[name] * part + error
        )
        share = cohorts.completed(cohort).mean()
        error = 3 * np.sqrt(0.24 / len(cohort))
        assert abs(share - SHARES_2018[name]) < 0.015 + error, name


def test_completion_can_be_learned_but_not_perfectly():
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    cohort = cohorts.general(twin.sample(2018, rows=60_000, seed=4))
    features, completed = cohort[list(cohorts.FEATURES)], cohorts.completed(cohort)
    half = np.random.default_rng(0).random(len(cohort)) < 0.5
    model = HistGradientBoostingClassifier(max_iter=60, random_state=0)
    model.fit(features[half], completed[half])
    chance = model.predict_proba(features[~half])[:, 1]
    # Along the curve that study A prints for its forest the area is 0.764.
    assert 0.68 < roc_auc_score(completed[~half], chance) < 0.80


def test_completion_of_2023_is_reported_for_every_age_sex_and_substance(records):
    table = twin.compare_completion(records)
    assert set(table.variable) == {"AGE", "GENDER", "SUB1"}
    assert table.groupby("variable").size().to_dict() == {
        "AGE": 12,
        "GENDER": 2,
        "SUB1": 18,
    }
    alcohol = table.query("variable == 'SUB1' and code == 2").iloc[0]
    cohort = records[records.SUB1 == 2]
    assert alcohol.rows == len(cohort)
    assert alcohol.share == pytest.approx(cohorts.completed(cohort).mean())
    # Men and women of 2023 add up to nearly every discharge of that year.
    assert table.query("variable == 'GENDER'").real_rows.sum() == 1_473_116


def test_correlations_are_those_of_numpy():
    drawn = twin.sample(2019, rows=3000, seed=8)
    names = list(twin.read_correlations().index)
    wanted = np.corrcoef(drawn[names].to_numpy(float).T)
    found = twin.compare_correlations(drawn) + twin.read_correlations()
    np.testing.assert_allclose(found, wanted, atol=1e-9)


# ---------------------------------------------------------------- completion


def test_a_cell_numbers_the_levels_of_its_parts():
    parts = [
        Part("A", ((-9,), (1, 2), (3,))),
        Part("B", ((0,), (1,))),
        Part("A", ((-9, 3), (1,), (2,))),
    ]
    columns = {
        "A": np.array([-9, 1, 2, 3], np.int8),
        "B": np.array([1, 0, 1, 1], np.int8),
    }
    levels = [[0, 1, 1, 2], [1, 0, 1, 1], [0, 1, 2, 0]]
    wanted = np.ravel_multi_index(levels, (3, 2, 3))
    np.testing.assert_array_equal(specification.find_cells(parts, columns), wanted)


def test_keys_list_every_combination_once_in_the_order_of_the_cells():
    for step in (step for step in twin.STEPS if step.keys):
        levels = specification.key_levels(step)
        assert list(levels) == list(step.keys)
        size = specification.key_size(step)
        cell = np.zeros(size, int)
        for name, level in levels.items():
            cell = cell * len(twin.PARTS[name].groups) + level
        np.testing.assert_array_equal(cell, np.arange(size))


def test_groups_are_the_cohorts_made_disjoint(records):
    columns = {name: records[name].to_numpy() for name in records.columns}
    index = {
        name: records.index.isin(find(records).index)
        for name, find in (
            ("general", cohorts.general),
            ("methadone", cohorts.methadone),
            ("other", cohorts.other_opioids),
        )
    }
    columns["_general"] = index["general"].astype(np.int8)
    group, strength_class = completion.find_groups(columns)
    both = index["methadone"] & index["other"]
    np.testing.assert_array_equal(group == 2, both)
    np.testing.assert_array_equal(group == 1, index["methadone"] & ~both)
    np.testing.assert_array_equal(group == 3, index["other"] & ~both)
    np.testing.assert_array_equal(group == 0, index["general"])
    assert strength_class.tolist() == [[0, 1, 1, 2, 2][each] for each in group]


def test_unfinished_stays_are_parted_by_court_and_by_length():
    referred, days = np.meshgrid([1, 7], [1, 7, 8, 33, 34, 37], indexing="ij")
    columns = {"PSOURCE": referred.ravel(), "LOS": days.ravel()}
    wanted = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert reasons.find_endings(columns).tolist() == wanted
    kinds = reasons.find_kinds({}, columns | {"SERVICES": np.full(12, 7)})
    assert (kinds == 6 * 6 + np.array(wanted)).all()  # nobody leans


def test_only_people_in_residential_treatment_lean_and_no_further_than_three_logits():
    tables = {"AGE": np.zeros(60, np.int32), "SUB1": np.zeros(60, np.int32)}
    tables["AGE"][[9 + 3, 9 + 4]] = 256, -2560  # code 3: +1 logit; 4: -10
    tables["SUB1"][9 - 9] = 140  # a missing substance: a little more than half
    columns = {
        "AGE": np.array([3, 3, 3, 4, 5, 5]),
        "SUB1": np.array([2, 2, -9, 2, -9, 2]),
        "SERVICES": np.array([4, 7, 5, 5, 4, 4]),
    }
    assert reasons.find_leans(tables, columns).tolist() == [8, 6, 9, 0, 7, 6]
    shape = reasons.lean_shape(np.arange(36.0).reshape(6, 6))
    # A lean of +1 logit is for REASON 2 and 3, and for no other.
    moved = shape[6 * 8 : 6 * 9] - shape[6 * 6 : 6 * 7]
    assert (moved == [1, 1, 0, 0, 0, 0]).all()
    assert (shape[36:42] == np.arange(36.0).reshape(6, 6)).all()


def test_who_leaves_residential_treatment_is_known_beyond_who_completes_it(records):
    """Without the leans, nobody leaves oftener than completion by itself says."""
    inside = records[records.SERVICES.isin([4, 5]) & (records.REASON > 1)]
    tables = read_parameters(2019)["leaving"]
    columns = {name: inside[name].to_numpy() for name in tables}
    lean = reasons.find_leans(tables, columns | {"SERVICES": np.full(len(inside), 4)})
    gone = inside.REASON.isin([2, 3]).to_numpy()
    assert gone[lean > 7].mean() - gone[lean < 5].mean() > 0.2


def score_by_hand(row, of_class, parameters, factors=None, of_place=None):
    """Return the score of one record, added up one effect at a time."""
    inside = row["SERVICES"] in (4, 5)
    where = 0 if not inside else {5: 1, 6: 1, 7: 1, 2: 2}.get(row["SUB1"], 3)
    of_lines, of_tables = factors or ([1] * 99, [1] * 99)
    lines = sum(
        np.rint(factor * int(table[where, row[name] + 9]))
        for (name, table), factor in zip(
            parameters["lines"].items(), of_lines, strict=False
        )
    )

    def effect(names, table):
        cell = 0
        for name in names:
            part = completion.SCORE_PARTS[name]
            (level,) = [
                k for k, g in enumerate(part.groups) if row[part.column] in g
            ] or [0]
            cell = cell * len(part.groups) + level
        return int(table[cell])

    sets = completion.MECHANISMS[parameters["mechanism"]]
    joint = sum(
        np.rint(factor * effect(names, table))
        for names, table, factor in zip(
            sets, parameters["tables"], of_tables, strict=False
        )
    )
    by_hand = lines * int(parameters["pull"][of_class])
    by_hand = (by_hand + joint * int(parameters["strength"][of_class])) // 64
    by_hand *= not row["_closed"]
    base = sum(map(effect, completion.BASE, parameters["base"]))
    by_hand += base if of_place is None else of_place(row, base)
    by_hand += row["_closed"] * parameters["bulk"]
    return np.clip(by_hand, -16 * completion.UNIT, 16 * completion.UNIT)


@pytest.mark.parametrize("mechanism", completion.MECHANISMS)
def test_the_score_adds_effects_row_by_row(records, mechanism):
    some = records.iloc[::4000]
    places = {int(row["STFIPS"]): k for k, row in enumerate(twin.read_states())}
    some = some.assign(_place=some.STFIPS.map(places), _closed=some.STFIPS == 4)
    columns = {name: some[name].to_numpy(np.int64) for name in some.columns}
    parameters = read_parameters(2019, mechanism)
    strength_class = np.arange(len(some)) % 3
    found = completion.add_up(parameters, columns, strength_class)
    for row, of_class, score in zip(
        some.to_dict("records"), strength_class, found, strict=True
    ):
        assert score == score_by_hand(row, of_class, parameters)


@pytest.mark.parametrize("similarity", [0, 0.5])
def test_other_opioids_turn_some_of_the_effects_and_nobody_else_does(
    records, similarity
):
    some = pd.concat([records[records.SUB1 == 7].head(40), records.head(40)])
    some = some.assign(_place=np.arange(len(some)) % 52, _closed=some.AGE == 9)
    columns = {name: some[name].to_numpy(np.int64) for name in some.columns}
    parameters = read_parameters(2019)
    zero = np.zeros(len(some), int)
    found = completion.add_up(parameters, columns, zero, similarity)
    rest = np.sqrt(1 - similarity**2)
    factors = [[similarity + sign * rest for sign in s] for s in parameters["signs"]]
    by_place, by_service, _ = parameters["completion"]

    def of_place(row, base):
        intercept = by_place[2 * row["_place"] + (row["SERVICES"] == 7)]
        intercept = 256 * (intercept + by_service[row["SERVICES"] - 1])
        turns = 13 <= row["_place"] < 26 or row["_place"] >= 39
        factor = similarity + (-rest if turns else rest)
        # From the middle, -1.5 logits, both together; the intercept is added later.
        return -384 + factor * (base + intercept + 384) - intercept

    for row, score in zip(some.to_dict("records"), found, strict=True):
        turned = row["SUB1"] in (6, 7) and not row["_closed"]
        given = (factors, of_place) if turned else ()
        assert abs(score - score_by_hand(row, 0, parameters, *given)) <= 2
    for signs in parameters["signs"]:
        assert set(signs) == {-1, 1}


def test_scores_beyond_sixteen_logits_are_cut_off():
    parameters = read_parameters(2019) | {"mechanism": "additive", "tables": []}
    columns = {
        part.column: np.ones(2, np.int8) for part in completion.SCORE_PARTS.values()
    } | {"_closed": np.zeros(2, np.int8)}
    columns |= {name: np.ones(2, np.int8) for name in parameters["lines"]}
    for sign in (1, -1):
        parameters["lines"] = {"AGE": np.full((4, 96), sign * 30_000)}
        score = completion.add_up(parameters, columns, np.zeros(2, int))
        assert score.tolist() == [sign * 16 * completion.UNIT] * 2


@pytest.fixture(scope="module")
def rows():
    """Positions and scores of 6,000 uneven rows, ordered by state."""
    random = np.random.default_rng(7)
    n = 6000
    state = np.sort(np.minimum(random.geometric(0.12, n) - 1, 51))
    return {
        "score": np.clip(random.normal(-150, 300, n), -4000, 4000).astype(np.int16),
        "state": state,
        "service": random.choice(8, n, p=[0.02, 0.08, 0.0, 0.2, 0.1, 0.2, 0.3, 0.1]),
        "group": random.choice(5, n, p=[0.4, 0.1, 0.05, 0.15, 0.3]),
        "kind": random.choice(reasons.N_KINDS, n),
    }


def test_calibrated_intercepts_meet_all_three_sets_of_counts(rows):
    positions = [rows[name] for name in ("state", "service", "group")]
    members = [completion.find_places(*positions[:2]), *positions[1:]]
    truth = 1 / (
        1 + np.exp(-(rows["score"] / completion.UNIT + 0.7 * (rows["group"] == 3)))
    )
    sizes = (104, 8, 5)
    wanted = tuple(
        np.bincount(each, truth, size)
        for each, size in zip(members, sizes, strict=True)
    )
    intercepts = reasons.calibrate_completion(rows["score"], *positions, wanted)
    assert [len(each) for each in intercepts] == list(sizes)
    logit = rows["score"] / completion.UNIT + sum(
        values[each] for values, each in zip(intercepts, members, strict=True)
    )
    chance = 1 / (1 + np.exp(-logit))
    for each, size, counts in zip(members, sizes, wanted, strict=True):
        # Scores are binned to a sixteenth of a logit.
        np.testing.assert_allclose(np.bincount(each, chance, size), counts, atol=1.5)
    # What drove the counts is found where it was put.
    raised = intercepts[2] - np.delete(intercepts[2], 3).mean()
    assert raised[3] == pytest.approx(0.7, abs=0.05)


def test_counts_that_nobody_or_everybody_meets_do_not_run_away(rows):
    positions = [rows[name] for name in ("state", "service", "group")]
    members = [completion.find_places(*positions[:2]), *positions[1:]]
    wanted = [
        np.bincount(each, minlength=size) * 0.4
        for each, size in zip(members, (104, 8, 5), strict=True)
    ]
    wanted[0][:2] = 0, (members[0] == 1).sum()
    intercepts = reasons.calibrate_completion(rows["score"], *positions, tuple(wanted))
    assert all(np.isfinite(each).all() for each in intercepts)
    assert intercepts[0][0] < -5 and intercepts[0][1] > 5


def test_scores_at_both_ends_of_their_range_are_calibrated_too():
    ends = np.repeat([-16 * completion.UNIT, 16 * completion.UNIT], 50).astype(np.int16)
    zero = np.zeros(100, int)
    wanted = [np.bincount(zero, minlength=size) * 0.5 for size in (104, 8, 5)]
    found = reasons.calibrate_completion(ends, zero, zero, zero, tuple(wanted))
    assert sum(each[0] for each in found) == pytest.approx(0, abs=0.1)


def test_calibrated_endings_meet_counts_by_state_and_by_service():
    random = np.random.default_rng(3)
    counts = random.poisson(40, (52, 8, 6)).astype(float)
    counts[5] = 0  # nobody there
    shape = random.normal(0, 0.5, (6, 6))
    chances = ending_chances(
        random.normal(0, 1, (52, 6)), random.normal(0, 1, (8, 6)), shape
    )
    np.testing.assert_allclose(chances.sum(axis=-1), 1)
    expected = chances * counts[..., None]
    by_state, by_service = expected.sum(axis=(1, 2)), expected.sum(axis=(0, 2))
    found = reasons.calibrate_endings(counts, shape, by_state, by_service)
    have = ending_chances(*found, shape) * counts[..., None]
    np.testing.assert_allclose(have.sum(axis=(0, 2)), by_service, rtol=1e-3)
    np.testing.assert_allclose(have.sum(axis=(1, 2)), by_state, rtol=0.01, atol=0.5)


def test_chances_of_endings_are_a_softmax_of_three_sums():
    random = np.random.default_rng(4)
    state, service, shape = (random.normal(0, 1, (n, 6)) for n in (52, 8, 6))
    found = ending_chances(state, service, shape)
    assert found.shape == (52, 8, 6, 6)
    wanted = np.exp(state[9] + service[3] + shape[2])
    np.testing.assert_allclose(found[9, 3, 2], wanted / wanted.sum())


def test_shares_of_the_cohorts_become_counts_of_the_groups():
    shares, sizes = (0.4, 0.2, 0.1, 0.3), np.array([1000, 400, 100, 300, 500])
    general, methadone, both, other, rest = completed_by_group(shares, sizes, 700)
    assert general == 0.4 * 1000
    assert methadone + both == pytest.approx(0.2 * (400 + 100))
    assert both == pytest.approx(0.1 * 100)
    assert other + both == pytest.approx(0.3 * (300 + 100))
    assert general + methadone + both + other + rest == pytest.approx(700)


def test_reasons_drawn_for_targets_meet_them_state_by_state(rows):
    """The counts of REASON by state exactly; by service within one in each state."""
    parameters = read_parameters(2019)
    positions = [rows[name] for name in ("state", "service", "group", "kind")]
    draw = functools.partial(reasons.draw_reason, parameters)
    free = draw(np.random.default_rng(1), rows["score"], *positions, None)
    assert set(free) == set(range(1, 8))
    by_state = pd.crosstab(rows["state"], free).reindex(range(52), fill_value=0)
    by_service = pd.crosstab(rows["service"], free).reindex(range(8), fill_value=0)
    targets = by_state.to_numpy(float), by_service.to_numpy(float)
    inside = rows["service"] == completion.SEVEN
    done = np.bincount(rows["state"][inside], free[inside] == 1, 52)
    share = done / np.maximum(np.bincount(rows["state"][inside], minlength=52), 1)
    draw = functools.partial(reasons.draw_reason, parameters | {"outpatient": share})
    met = draw(np.random.default_rng(2), rows["score"], *positions, targets)
    assert (met != free).mean() > 0.2  # another draw
    again = pd.crosstab(rows["state"], met).reindex(range(52), fill_value=0)
    assert again.to_numpy().tolist() == by_state.to_numpy().tolist()
    gap = pd.crosstab(rows["service"], met).reindex(range(8), fill_value=0) - by_service
    assert np.abs(gap.to_numpy()).max() < 20
    # A higher score still completes more often.
    done = rows["score"][met == 1].mean(), rows["score"][met != 1].mean()
    assert done[0] - done[1] > 100
    total = int((met.astype(int) * (1 + np.arange(len(met)) % 97)).sum())
    assert total == FROZEN_REASONS  # byte-identical from release to release


FROZEN_REASONS = 768391


def test_a_systematic_draw_counts_to_the_sum_of_its_chances():
    random = np.random.default_rng(0)
    chance = random.random(500)
    for start in (0.0, 0.3, 0.99):
        chosen = _systematic(chance, start)
        gap = np.cumsum(chosen) - np.cumsum(chance)
        assert np.abs(gap).max() <= 1
        np.testing.assert_array_equal(
            np.cumsum(chosen), np.floor(np.cumsum(chance) + start)
        )


# ---------------------------------------------------------------- sampler


def test_cuts_are_counted_by_key():
    values, key = np.array([0.1, 0.5, 0.9, 0.5]), np.array([0, 0, 1, 1])
    cuts = np.array([[0.3, 0.6], [0.5, 0.95]])
    assert cut(values, key, cuts).tolist() == [0, 1, 1, 0]
    assert cut(values, None, cuts).tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize("year", [2017, 2018, 2019])
def test_flags_and_injection_follow_by_the_rule_of_the_year(year):
    columns = {
        **{
            "SUB1": [2, 5, 1, -9, 4],
            "SUB2": [1, 2, 1, -9, 10],
            "SUB3": [1, 3, 1, -9, 1],
        },
        **{"ROUTE1": [1, 4, -9, -9, 2], "ROUTE2": [-9, 1, -9, -9, 1]},
        "ROUTE3": [-9, 2, -9, -9, 1],
    }
    columns = {name: np.array(codes, np.int8) for name, codes in columns.items()}
    add_flags(year, columns)
    assert columns["ALCFLG"].tolist() == [1, 1, 0, 0, 0]
    assert columns["HERFLG"].tolist() == [0, 1, 0, 0, 0]
    assert columns["MTHAMFLG"].tolist() == [0, 0, 0, 0, 1]
    assert columns["ALCDRUG"].tolist() == [1, 3, 0, 0, 2]
    # In 2017 and 2018 IDU is 0 only where all three routes are known.
    first = 0 if year == 2019 else -9
    assert columns["IDU"].tolist() == [first, 1, -9, -9, 0]


def test_what_is_derived_between_the_steps():
    columns = {
        "SUB1": np.array([2, 5, 1, -9, 8, 7, 2], np.int8),
        "SERVICES": np.array([6, 7, 8, 7, 5, 7, 7], np.int8),
        "METHUSE": np.array([2, 2, 2, 2, 2, 2, 1], np.int8),
    }
    add_derived("METHUSE", columns)
    assert columns["_general"].tolist() == [1, 0, 1, 0, 0, 0, 0]
    columns |= {"ROUTE1": np.array([4, 1, 1]), "ROUTE2": np.array([1, 4, 3])}
    add_derived("ROUTE2", columns)
    assert columns["_injects"].tolist() == [1, 1, 0]
    columns |= {"SUB1_D": np.array([2, 2, 1, 1]), "SUB2_D": np.array([3, 4, 1, 3])}
    columns["SUB3_D"] = np.array([2, 4, 1, 2])
    add_derived("SUB3_D", columns)
    assert columns["SUB3_D"].tolist() == [1, 1, 1, 2]


# ---------------------------------------------------------------- comparisons


def test_reasons_are_compared_within_states_and_services(records):
    for by, targets in zip(
        ("STFIPS", "SERVICES"), twin.read_targets(2019), strict=True
    ):
        table = twin.compare_reasons(records, by)
        code = 40 if by == "STFIPS" else 7
        of_code = table[table.by == code].set_index("reason")
        counts = records[records[by] == code].REASON.value_counts()
        assert of_code.rows.to_dict() == counts.reindex(range(1, 8)).to_dict()
        np.testing.assert_allclose(of_code.share, of_code.rows / of_code.rows.sum())
        states = [int(row["STFIPS"]) for row in twin.read_states()]
        wanted = targets[states.index(40) if by == "STFIPS" else 6]
        np.testing.assert_allclose(of_code.target, wanted / wanted.sum())
        np.testing.assert_allclose(table.gap, table.share - table.target)
        assert table.gap.abs().groupby(table.by).max().median() < 0.05


def test_targets_are_the_margins_of_the_codebook():
    for year in twin.YEARS:
        by_state, by_service = twin.read_targets(year)
        codes, counts = twin.margin(year, "REASON")
        assert codes.tolist() == list(range(1, 8))
        np.testing.assert_allclose(by_state.sum(axis=0), counts, atol=1)
        np.testing.assert_allclose(by_service.sum(axis=0), counts, rtol=1e-3)
        states = [int(row["STFIPS"]) for row in twin.read_states()]
        rows = dict(zip(*twin.margin(year, "STFIPS"), strict=True))
        wanted = [rows.get(code, 0) for code in states]
        np.testing.assert_allclose(by_state.sum(axis=1), wanted, atol=1)


def test_chance_is_what_independent_rows_would_show_on_average():
    codes, counts = twin.margin(2018, "AGE")
    random = np.random.default_rng(1)
    drawn = twin.sample(2018, rows=2000, seed=1)
    shares = counts / counts.sum()
    distances = [
        np.abs(random.multinomial(2000, shares) / 2000 - shares).sum() / 2
        for _ in range(400)
    ]
    table = twin.compare_margins(drawn).set_index("variable")
    assert table.chance["AGE"] == pytest.approx(np.mean(distances), rel=0.05)
    have = drawn.AGE.value_counts(normalize=True).reindex(codes, fill_value=0)
    assert table.worst["AGE"] == np.abs(have - shares).idxmax()
    # A code of no codebook is a distance too.
    strange = drawn.assign(AGE=drawn.AGE.where(drawn.index >= 200, 77))
    found = twin.compare_margins(strange).set_index("variable").distance["AGE"]
    have = strange.AGE.value_counts(normalize=True)
    wanted = pd.Series(shares, codes)
    assert found == pytest.approx(have.sub(wanted, fill_value=0).abs().sum() / 2)


def test_older_coding_leans_to_older_people_and_to_opioids():
    drawn = twin.sample(2018, rows=60_000, seed=6, noprior="0-5")
    some = drawn[drawn.NOPRIOR > 0]
    many = some.NOPRIOR == 5
    opioid = some.SUB1.between(5, 7)
    assert many[opioid].mean() > many[~opioid].mean() + 0.1
    assert many[some.AGE >= 10].mean() > many[some.AGE <= 4].mean() + 0.05
    assert many[some.SUB1 == 4].mean() < many[some.SUB1 == 2].mean() - 0.05
    middle = some[(some.SUB1 == 2) & some.AGE.between(6, 7)].NOPRIOR
    shares = middle.value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(shares, [0.35, 0.21, 0.13, 0.08, 0.23], atol=0.03)


# ---------------------------------------------------------------- mechanisms


def test_under_every_mechanism_the_people_are_the_same_and_the_reasons_are_not(records):
    same = [name for name in records if name != "REASON"]
    first = records.head(0)
    for mechanism in twin.MECHANISMS:
        drawn = twin.sample(2019, rows=30_000, seed=4, mechanism=mechanism)
        assert_structure(drawn)
        if len(first):
            pd.testing.assert_frame_equal(drawn[same], first[same])
            assert 0.02 < (drawn.REASON != first.REASON).mean() < 0.6
            assert abs((drawn.REASON == 1).mean() - (first.REASON == 1).mean()) < 0.015
        first = drawn if not len(first) else first


def test_similarity_changes_other_opioids_and_nobody_else():
    near, far = (
        twin.sample(2018, rows=30_000, seed=4, similarity=each) for each in (1, 0)
    )
    changed = near.SUB1[(near.REASON == 1) != (far.REASON == 1)]
    assert len(changed) > 50 and set(changed) == {6, 7}


@pytest.mark.parametrize("similarity", [0.5, 0])
def test_similarity_is_about_the_correlation_of_the_log_odds(similarity, monkeypatch):
    seen = []

    def log_odds(parameters, rng, score, place, service, group, *rest):
        by_place, by_service, _ = parameters["completion"]
        places = completion.find_places(place, service)
        seen.append(score / 256 + by_place[places] + by_service[service])
        return np.ones(len(score), np.int8)

    monkeypatch.setattr("sudlib.twin.sampler.draw_reason", log_odds)
    for each in (1, similarity):
        made = twin.sample(2018, rows=60_000, seed=5, similarity=each)
    other = ((made.SUB1 == 7) & (made.SUB2 != 5) & (made.SUB3 != 5)).to_numpy()
    alike, unlike = (each[other] for each in seen)
    assert np.corrcoef(alike, unlike)[0, 1] == pytest.approx(similarity, abs=0.2)
    assert unlike.std() == pytest.approx(alike.std(), rel=0.15)


def test_an_unknown_mechanism_or_similarity_is_refused():
    with pytest.raises(InputError, match="mechanism must be one of additive, pairs"):
        twin.sample(2018, rows=10, mechanism="forest")
    for similarity in (1.2, -0.1, "1", True):
        with pytest.raises(InputError, match="similarity must be a number from 0 to 1"):
            twin.sample(2018, rows=10, similarity=similarity)


def test_words_say_which_signs_hold_and_which_change():
    table = pd.DataFrame(
        {"one": [1, -2], "other": [3, 4], "holds": [True, False]},
        index=["a ahead of c", "b ahead of c"],
    )
    kept = "Under all 2 mechanisms, a did better than c."
    changes = "It depends on the mechanism whether b did better than c."
    assert twin.tell_signs(table) == f"{kept} {changes}"
    behind = (-table[["one", "other"]][:1]).assign(holds=True)
    assert twin.tell_signs(behind) == kept.replace("better", "worse")
    turned = twin.tell_signs(behind.rename({"a ahead of c": "it helps"}))
    assert turned == kept.replace(
        "a did better than c", "it helps (the other way round)"
    )
    assert twin.tell_signs(table[:1]) == kept
    assert twin.tell_signs(table[1:]) == changes
    both = pd.concat([table[1:], table[1:].rename({"b ahead of c": "d ahead of e"})])
    assert twin.tell_signs(both) == changes[:-1] + ", and whether d did better than e."
    assert "one outcome" in twin.tell_signs(table[:0])


def test_a_finding_holds_only_if_its_sign_is_the_same_in_every_mechanism():
    seen = []

    def compare(made):
        seen.append((made.REASON == 1).mean())
        return {"always": 1.0, "never": -0.2, "once": len(seen) - 1.5, "none": 0.0}

    table = twin.across_mechanisms(compare, rows=300, similarities=(1, 0.5))
    assert len(seen) == 2 * len(twin.MECHANISMS)
    assert table.holds.to_dict() == {
        "always": True,
        "never": True,
        "once": False,
        "none": False,
    }
    assert list(table.columns)[:2] == ["additive, 1", "additive, 0.5"]


# ---------------------------------------------------------------- real figures


def test_states_have_the_substances_of_the_real_file():
    far = twin.compare_substances(twin.sample(2019, rows=400_000, seed=6))
    assert len(far) == 49
    assert far.mean() < 0.06 and far.median() < 0.05
    # Arizona's missing substances are there.
    assert far[4] < 0.1


def test_women_and_completion_of_outpatient_treatment_are_those_of_the_states():
    drawn = twin.sample(2019, rows=600_000, seed=7)
    table = twin.compare_outpatient(drawn, least=4000)
    assert len(table) > 15
    assert (table.women - table.real_women).abs().quantile(0.9) < 0.04
    assert (table.completed - table.real_completed).abs().quantile(0.9) < 0.05
    oklahoma = drawn[(drawn.STFIPS == 40) & (drawn.SERVICES_D == 7)]
    assert (oklahoma.GENDER == 2).mean() == pytest.approx(0.483, abs=0.04)
    assert (oklahoma.RACE == 2).mean() == pytest.approx(0.125, abs=0.03)


def test_who_left_and_the_real_coefficients_are_found_again():
    frames = [twin.sample(year, rows=600_000, seed=8) for year in (2017, 2018, 2019)]
    left = twin.skill(twin.compare_left(pd.concat(frames)))
    assert set(left.index) == {
        *("SUB1", "RACE", "GENDER", "AGE", "SERVICES", "PSOURCE", "EDUC", "EMPLOY"),
        *("ROUTE1", "FREQ1", "FRSTUSE1", "NOPRIOR"),
    }
    assert left.median() > 0.5
    table = twin.compare_coefficients(frames[0]).query("error < 1")
    for name in ("opioids", "alcohol"):
        part = table[table.model == name]
        assert np.corrcoef(part.real, part.ours)[0, 1] > 0.6, name


def test_a_regression_finds_its_own_coefficients():
    random = np.random.default_rng(0)
    columns = {"A": random.integers(0, 3, 20_000), "B": random.integers(1, 3, 20_000)}
    linear = 0.8 * (columns["A"] == 1) - 0.5 * (columns["A"] == 2) - 1
    outcome = random.random(20_000) < 1 / (1 + np.exp(-linear))
    terms = pd.DataFrame({"variable": ["A", "A", "B", "B"], "code": [1, 2, 2, 9]})
    found = scorecard.regress(columns, outcome.astype(float), terms)
    np.testing.assert_allclose(found, [0.8, -0.5, 0, 0], atol=0.1)


def test_the_real_regressions_are_of_the_substances_that_their_names_say():
    labels = codebook.codes("SUB1", 2017)
    said = {
        name: [labels[code] for code in codes]
        for name, codes in scorecard.MODELS.items()
    }
    assert said["alcohol"] == ["Alcohol"]
    assert said["opioids"] == said["opioids left"]
    assert said["opioids"] == [
        "Heroin",
        "Non-prescription methadone",
        "Other opiates and synthetics",
    ]


def test_states_without_expanded_medicaid_in_2017_are_the_nineteen():
    postal = {int(row["STFIPS"]): row["postal"] for row in twin.read_states()}
    assert [postal[code] for code in scorecard.NO_EXPANSION] == (
        "AL FL GA ID KS ME MS MO NE NC OK SC SD TN TX UT VA WI WY".split()
    )


def test_every_term_of_the_real_regressions_names_a_variable_and_a_code():
    terms = scorecard.real_terms()
    printed = twin.read_real("logistic_2017")
    assert len(terms) == (printed.term != "(Intercept)").sum()
    assert (terms.term == terms.variable + terms.code.astype(str)).all()
    assert set(terms.variable) - set(codebook.COLUMNS) == {"MEDEXP"}
    row = terms[(terms.model == "opioids") & (terms.term == "ARRESTS_D0")].iloc[0]
    assert (row.variable, row.code, row.estimate) == ("ARRESTS_D", 0, 2.6319)


def test_skill_is_one_for_the_real_table_and_zero_for_no_differences():
    table = twin.compare_left(twin.sample(2018, rows=2000)).assign(
        ours=lambda t: t.real
    )
    assert (twin.skill(table) == 1).all()
    assert (twin.skill(table.assign(ours=0.0)) == 0).all()


def test_the_score_card_says_what_is_met():
    first, last = (twin.sample(year, rows=60_000) for year in (2017, 2019))
    card = twin.score_card(first, last, {"boosting": 0.80, "within a state": 0.86})
    of = card.set_index("what")
    assert of.met["boosting: 0.800, real 0.785"]
    assert not of.met["within a state: 0.860, real 0.719"]
    assert of.value["within a state: 0.860, real 0.719"] == pytest.approx(0.141)
    for row in card.itertuples():  # an error is to be small, a likeness large
        is_error = row.measure.endswith(("off", "variation", "states"))
        assert row.better == ("lower" if is_error else "higher"), row.what
        assert row.met == (row.value <= row.goal if is_error else row.value >= row.goal)
    assert set(card["better"]) == {"lower", "higher"}
    beside = pd.concat([twin.compare_outpatient(each) for each in (first, last)])
    gap = 100 * (beside["women"] - beside["real_women"]).abs()
    women = next(what for what in of.index if what.startswith("women in each state"))
    assert women.endswith(f" by {gap.max():.1f})")
    assert of.value[women] == pytest.approx(gap.quantile(0.9))


def test_areas_are_those_of_predicting_completion():
    drawn = twin.sample(2018, rows=60_000, seed=2)
    areas = twin.measure_areas(drawn, seed=1)
    assert set(areas) == {"boosting", "logistic", "within a state", "Oklahoma"}
    assert all(0.6 < area < 0.9 for area in areas.values())
    # Without anything to learn there is nothing to predict.
    shuffled = drawn.assign(
        REASON=np.random.default_rng(0).permutation(drawn.REASON.to_numpy())
    )
    nothing = twin.measure_areas(shuffled, seed=1)
    assert abs(nothing["logistic"] - 0.5) < 0.04
    assert abs(nothing["Oklahoma"] - 0.5) < 0.12  # some 300 people


# ---------------------------------------------------------------- seeds, errors


def test_same_seed_same_records_and_another_seed_others():
    first, again = (twin.sample(2017, rows=70_000, seed=9) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = twin.sample(2017, rows=70_000, seed=10)
    assert (first.SUB1 != other.SUB1).mean() > 0.3


@pytest.mark.parametrize(
    ("year", "noprior", "digest"),
    [
        (2015, "0-1", "b3dc837d4b840714"),
        (2018, "0-1", "56e0ccd228849f04"),
        (2019, "0-5", "08273e83bd1df856"),
    ],
)
def test_records_of_a_seed_do_not_change_from_release_to_release(year, noprior, digest):
    """Frozen: another machine, thread count or library must agree to the byte."""
    drawn = twin.sample(year, rows=20_000, seed=33, noprior=noprior)
    found = hashlib.sha256()
    for name in drawn.columns:
        found.update(drawn[name].to_numpy("<i8").tobytes())
    assert found.hexdigest()[:16] == digest


def test_examples_in_docstrings_run():
    for module in (sampler, fidelity, parameters, scorecard, mechanisms):
        assert doctest.testmod(module).failed == 0


def test_older_coding_of_noprior_counts_to_five():
    binary = twin.sample(2018, rows=30_000, seed=6)
    older = twin.sample(2018, rows=30_000, seed=6, noprior="0-5")
    assert set(older.NOPRIOR) == {-9, 0, 1, 2, 3, 4, 5}
    assert (older.NOPRIOR.clip(upper=1) == binary.NOPRIOR).all()
    rest = [name for name in binary.columns if name != "NOPRIOR"]
    pd.testing.assert_frame_equal(older[rest], binary[rest])
    counts = older.NOPRIOR.value_counts()
    assert counts[1] > counts[2] > counts[3] > counts[4]


@pytest.mark.parametrize("year", [2014, 2020, 2023, "2018", 2018.5, None, True])
def test_a_year_without_a_codebook_is_refused(year):
    with pytest.raises(InputError, match="2015, 2016, 2017, 2018, 2019"):
        twin.sample(year, rows=10)


@pytest.mark.parametrize("rows", [0, -1, 1.5, "10", True, 10**7])
def test_rows_that_cannot_be_are_refused(rows):
    with pytest.raises(InputError, match="rows must be a whole number"):
        twin.sample(2018, rows=rows)


@pytest.mark.parametrize("seed", [-1, 0.5, "33", None, False])
def test_seeds_that_cannot_be_are_refused(seed):
    with pytest.raises(InputError, match="seed must be a whole number"):
        twin.sample(2018, rows=10, seed=seed)


def test_an_unknown_coding_is_refused():
    with pytest.raises(InputError, match="noprior must be one of 0-1, 0-5"):
        twin.sample(2018, rows=10, noprior="0-3")


def test_comparisons_refuse_records_of_two_years():
    both = pd.concat([twin.sample(2018, rows=5), twin.sample(2019, rows=5)])
    with pytest.raises(InputError, match="one year"):
        twin.compare_margins(both)
    with pytest.raises(InputError, match="STFIPS"):
        twin.compare_reasons(twin.sample(2018, rows=5), by="AGE")


def test_bytes_are_those_of_a_written_file(tmp_path):
    drawn = twin.sample(2019, rows=500)
    path = tmp_path / "twin.csv"
    drawn.to_csv(path, index=False, lineterminator="\r\n")
    assert twin.count_bytes(drawn) == path.stat().st_size


# ---------------------------------------------------------------- whole files


@pytest.mark.slow
@pytest.mark.parametrize("year", [2017, 2018, 2019])
def test_whole_file_meets_every_target(year):
    drawn = twin.sample(year)
    assert len(drawn) == codebook.size(year)
    assert_structure(drawn)
    table = twin.compare_margins(drawn)
    assert table.distance.max() <= 0.01, table.nlargest(5, "distance").to_string()
    for by in ("STFIPS", "SERVICES"):
        assert twin.compare_reasons(drawn, by).gap.abs().max() <= 0.01
    states = twin.compare_reasons(drawn)
    wanted = twin.read_targets(year)[0]
    assert states.rows.to_list() == wanted[wanted.sum(axis=1) > 0].ravel().tolist()


@pytest.mark.slow
def test_whole_files_meet_the_cohorts_and_the_length():
    last, study, before = (twin.sample(year) for year in (2019, 2018, 2017))
    gap = np.abs(twin.compare_correlations(last).to_numpy()[np.triu_indices(29, 1)])
    assert gap.mean() <= 0.03
    assert gap.max() <= 0.12
    assert twin.count_bytes(last) == pytest.approx(FULL_BYTES, rel=0.001)
    oklahoma = last[last.STFIPS == 40].REASON.value_counts().sort_index()
    assert oklahoma.to_list() == [4391, 5754, 498, 1353, 223, 41, 520]
    for name, find in (("general", cohorts.general), ("methadone", cohorts.methadone)):
        cohort = find(study)
        assert len(cohort) == pytest.approx(SIZES_2018[name], rel=0.03)
        share = cohorts.completed(cohort).mean()
        assert share == pytest.approx(SHARES_2018[name], abs=0.015)
    other = pd.concat([cohorts.other_opioids(frame) for frame in (before, study)])
    assert len(other) == pytest.approx(232_200, rel=0.05)
    assert cohorts.completed(other).mean() == pytest.approx(310 / 1161, abs=0.015)


COMPARED = [
    *("check_structure", "compare_coefficients", "compare_completion", "count_bytes"),
    *("compare_correlations", "compare_left", "compare_margins", "compare_outpatient"),
    *("compare_reasons", "compare_substances"),
]


@pytest.mark.filterwarnings("ignore:.*blank cells are read as missing")
@pytest.mark.parametrize("form", ["text", "gaps", "Int64", "category"])
@pytest.mark.parametrize("name", COMPARED)
def test_codes_in_any_form_are_compared_alike(name, form):
    drawn = twin.sample(2018, rows=300, seed=3)
    other = {
        "text": lambda: drawn.astype(str),
        "gaps": lambda: drawn.astype(float).mask(drawn == codebook.MISSING),
    }.get(form, lambda: drawn.astype(form))()
    compare = getattr(twin, name)
    one, two = compare(other), compare(drawn)
    assert one.equals(two) if hasattr(one, "equals") else one == two


@pytest.mark.parametrize("name", COMPARED[:3] + COMPARED[4:])
def test_a_comparison_says_what_it_needs(name):
    drawn = twin.sample(2018, rows=300, seed=3)
    with pytest.raises(InputError, match="comparison with the twin needs the column"):
        getattr(twin, name)(drawn.drop(columns=["SUB1", "REASON", "SERVICES_D"]))
    two = pd.concat([drawn, twin.sample(2019, rows=3)], ignore_index=True)
    with pytest.raises(InputError, match="must all be of one year"):
        twin.compare_outpatient(two)


def test_what_is_kept_for_the_next_call_cannot_be_changed_by_the_caller():
    for kept in twin.margin(2019, "AGE"):
        with pytest.raises(ValueError, match="read-only"):
            kept[...] = 0
    twin.read_targets(2019)[0][...] = 0
    assert twin.read_targets(2019)[0].sum() > 0
    table = twin.scorecard.read_real("left_by_level")
    table["left"] = 0
    assert twin.scorecard.read_real("left_by_level")["left"].max() > 0


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda _: twin.margin(2019, "AGEE"), "no variable 'AGEE'"),
        (lambda _: twin.read_targets(2020), "year must be one of 2015.*not 2020"),
        (twin.measure_areas, "states with 20 who.*not 0"),
        (lambda few: twin.compare_outpatient(few, least="x"), "least must be"),
        (lambda few: twin.compare_margins(few.iloc[:0]), "not of none"),
        (
            lambda few: twin.score_card(few.assign(DISYR=2017), few, {"tree": 0.7}),
            "area must be one of boosting.*not 'tree'",
        ),
    ],
    ids=["margin", "targets", "areas", "least", "nobody", "another area"],
)
def test_a_comparison_says_what_it_cannot_do(ask, said):
    with pytest.raises(InputError, match=said):
        ask(twin.sample(2019, rows=500))


@pytest.mark.parametrize(
    "compare",
    [
        *(twin.check_structure, twin.compare_margins, twin.compare_completion),
        *(twin.compare_correlations, twin.compare_left, twin.count_bytes),
    ],
    ids=lambda each: each.__name__,
)
def test_no_comparison_takes_a_column_twice(compare):
    records = twin.sample(2019, rows=50)
    twice = pd.concat([records, records[["AGE"]]], axis=1)
    with pytest.raises(InputError, match="the column AGE twice"):
        compare(twice)
