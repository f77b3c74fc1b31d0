"""What is guessed of the synthetic twin, not fitted: its patterns before raking.

How substances differ in their routes, who uses them and what goes with them, as tables
that ``fit_twin.py`` bends until every published margin holds.
"""

import numpy as np
import twin_states

from sudlib import twin
from sudlib.twin import specification

# Factors on a variable's margin by level of a key part.  They only set the pattern;
# the margins are raked afterwards.

DRUG = dict(none=0, alcohol=1, cocaine=2, marijuana=3, opioid=4, stimulant=5, other=6)
ROUTE_OF = {  # oral, smoked, inhaled, injected, other, in per cent
    2: (98.5, 0.3, 0.1, 0.1, 1.0),
    3: (4, 58, 32, 5, 1),
    4: (3, 95.5, 1, 0.1, 0.4),
    5: (2, 5, 28, 64, 1),
    6: (85, 3, 4, 6, 2),
    7: (58, 4, 22, 14, 2),
    8: (8, 86, 4, 1, 1),
    9: (86, 7, 3, 2, 2),
    10: (4, 57, 11, 27, 1),
    11: (45, 28, 12, 13, 2),
    12: (50, 22, 18, 8, 2),
    13: (93, 2, 4, 0.5, 0.5),
    14: (92, 3, 3, 1, 1),
    15: (92, 3, 3, 1, 1),
    16: (93, 3, 2, 1, 1),
    17: (6, 10, 80, 2, 2),
    18: (92, 3, 2, 1, 2),
    19: (40, 38, 8, 6, 8),
}
PRIORS = {
    "SERVICES": {
        "drug": {
            "alcohol": {1: 2.2, 2: 1.5, 8: 1.2},
            "marijuana": {1: 0.1, 2: 0.1, 4: 0.5, 5: 0.7, 8: 0.2},
            "opioid": {1: 1.3, 2: 1.7, 8: 3},
            "stimulant": {1: 0.3, 2: 0.5, 5: 1.5},
            "none": {1: 0.5, 2: 0.5, 4: 0.6, 5: 0.6},
        }
    },
    "METHUSE": {
        "class": {1: {1: 6}, 2: {1: 0.25}},
        "outpatient": {1: {1: 3}, 0: {1: 0.6}},
    },
    "AGE": {
        "drug": {
            "alcohol": {1: 0.3, 2: 0.3, 3: 0.3, 4: 0.6, 5: 0.7, 9: 1.4, 10: 1.6}
            | {11: 1.9, 12: 2.6},
            "cocaine": {1: 0.1, 2: 0.1, 3: 0.3, 4: 0.5, 5: 0.6, 9: 1.6, 10: 1.9}
            | {11: 1.7},
            "marijuana": {1: 10, 2: 10, 3: 4, 4: 2, 5: 1.2, 7: 0.6, 8: 0.5}
            | {9: 0.3, 10: 0.3, 11: 0.2, 12: 0.2},
            "opioid": {1: 0.02, 2: 0.05, 3: 0.3, 5: 1.3, 6: 1.4, 7: 1.2, 12: 0.6},
            "stimulant": {1: 0.2, 2: 0.3, 5: 1.2, 6: 1.3, 7: 1.3, 11: 0.5, 12: 0.2},
        }
    },
    "GENDER": {
        "drug": {
            "alcohol": {2: 0.75},
            "marijuana": {2: 0.7},
            "opioid": {2: 1.1},
            "stimulant": {2: 1.4},
        }
    },
    "PREG": {
        "age": {0: {1: 0.4}, 1: {1: 0.8}, 3: {1: 2}, 4: {1: 2}, 5: {1: 0.8}}
        | {6: {1: 0.01}}
    },
    "ETHNIC": {
        "race": {
            0: {-9: 100, 4: 0.4},
            1: {1: 0.3, 2: 0.1, 3: 0.4, 5: 0.4, 4: 1.2},
            2: {1: 0.6, 2: 0.9, 3: 0.7, 4: 1.0},
            3: {1: 6, 2: 4, 3: 5, 5: 5, 4: 0.4},
        }
    },
    "PSOURCE": {
        "drug": {
            "marijuana": {7: 2.2, 4: 6, 1: 0.6, 2: 0.5},
            "alcohol": {7: 1.1, 5: 2},
            "opioid": {1: 1.4, 7: 0.5, 2: 1.3, 4: 0.1},
            "stimulant": {7: 1.6, 6: 1.2},
        }
    },
    "DETCRIM": {
        "drug": {"alcohol": {7: 4}, "opioid": {7: 0.2}, "stimulant": {3: 1.5, 7: 0.1}}
    },
    "EDUC": {
        "age": {
            0: {1: 30, 2: 1, 3: 0.01, 4: 0, 5: 0},
            1: {1: 3, 2: 8, 3: 0.2, 4: 0.005, 5: 0},
            2: {2: 1.6, 4: 0.4, 5: 0.01},
            3: {4: 0.8, 5: 0.2},
            6: {5: 1.5, 1: 1.5},
        }
    },
    "MARSTAT": {
        "age": {
            0: {2: 0, 3: 0, 4: 0},
            1: {2: 0.01, 3: 0.01, 4: 0},
            2: {2: 0.1, 3: 0.1, 4: 0.02},
            3: {2: 0.4, 3: 0.4, 4: 0.15},
            4: {2: 0.8, 3: 0.8, 4: 0.5},
            6: {1: 0.5, 2: 1.4, 4: 2.5},
        }
    },
    "EMPLOY": {
        "age": {
            0: {1: 0.01, 2: 0.05, 3: 0.2, 4: 4},
            1: {1: 0.05, 2: 0.6, 3: 0.4, 4: 3},
            2: {1: 0.6, 2: 1.5},
            6: {4: 1.6, 1: 0.7, 2: 0.7},
        }
    },
    "DETNLF": {
        "age": {
            0: {2: 60, 3: 0.02, 1: 0.02},
            1: {2: 40, 3: 0.05, 1: 0.05},
            2: {2: 8, 3: 0.2},
            3: {2: 2, 3: 0.3},
            6: {3: 4, 2: 0.05},
        }
    },
    "LIVARAG": {"age": {0: {1: 0.05, 2: 4}, 1: {1: 0.08, 2: 4}, 2: {1: 0.5, 2: 1.8}}},
    "PRIMINC": {
        "employ": {
            1: {1: 8, 5: 0.05, 2: 0.2, 3: 0.1},
            2: {1: 4, 5: 0.3},
            3: {1: 0.1, 5: 1.8},
            4: {1: 0.15, 3: 2.5, 2: 1.5},
        }
    },
    "PRIMPAY": {
        "hlthins": {
            0: {-9: 2},
            1: {2: 20, 4: 0.1, 1: 0.8},
            2: {4: 6, 2: 0.1, 1: 0.2},
            3: {3: 15, 4: 0.7},
            4: {1: 2.5, 5: 2.5, 6: 2.5, 4: 0.2, 2: 0.1, 3: 0.1},
        }
    },
    "VET": {
        "age": {0: {1: 0}, 1: {1: 0}, 2: {1: 0.05}, 3: {1: 0.4}, 6: {1: 3}},
        "gender": {2: {1: 0.25}},
    },
    "LOS": {"services": {}},
}
DIAGNOSES = {  # DSMCRIT that go with a substance
    2: {4: 30, 9: 30, 1: 30, 3: 30, 5: 0.05, 6: 0.05, 7: 0.05, 10: 0.05},
    3: {6: 60, 13: 60, 4: 0.3, 5: 0.1},
    4: {7: 60, 10: 60, 4: 0.2, 5: 0.05},
    5: {5: 40, 12: 40, 4: 0.1},
    6: {5: 40, 12: 40, 4: 0.1},
    7: {5: 40, 12: 40, 4: 0.1},
}


def _length_prior(codes):
    """Return factors on LOS by service: how long stays last where."""
    day = np.array([code if code <= 30 else 0 for code in codes])
    long = {31: 38, 32: 53, 33: 75, 34: 105, 35: 150, 36: 260, 37: 500}
    days = np.where(day > 0, day, [long.get(code, 1) for code in codes])
    middle = {1: 4, 2: 4, 3: 18, 4: 20, 5: 60, 6: 60, 7: 110, 8: 20}
    spread = {1: 0.7, 2: 0.6, 3: 0.9, 4: 0.7, 5: 1.0, 6: 1.0, 7: 1.2, 8: 1.2}
    rows = []
    for service in range(1, 9):
        away = (np.log(days) - np.log(middle[service])) / spread[service]
        row = np.exp(-0.5 * away**2) + 0.01
        if service in (4, 3):
            row[days > 45] *= 0.15
        if service in (7, 6):
            row[0] += 1.5
        rows.append(row)
    return np.array(rows)


def guess(step, year):
    """Return the unraked table of a step: keys by codes, not negative."""
    codes, counts = twin.margin(year, step.variable)
    name = step.variable
    column = {int(code): place for place, code in enumerate(codes)}
    size = specification.key_size(step) if step.keys else 1
    table = np.tile(np.maximum(counts, 1) / counts.sum(), (size, 1)).astype(float)
    levels = specification.key_levels(step) if step.keys else {}
    for part, by_level in PRIORS.get(name, {}).items():
        for level, factors in by_level.items():
            level = DRUG.get(level, level)
            for code, factor in factors.items():
                if code in column:
                    table[levels[part] == level, column[code]] *= factor
    substance = {
        part: np.array([-9, *range(1, 20)])[levels[part]]
        for part in ("sub1", "sub2", "sub3", "sub1_d")
        if part in levels
    }

    _of_state(name, year, table, column, levels)

    def only(rows, allowed):
        table[np.ix_(rows, [column[c] for c in column if c not in allowed])] = 0

    if name == "LOS":
        table *= _length_prior(codes)
    elif name == "DSMCRIT":
        for code in range(20):
            rows = substance["sub1"] == (code or -9)
            factors = DIAGNOSES.get(code)
            if factors is None and code > 7:
                factors = {8: 20, 11: 20, 4: 0.1, 5: 0.1, 6: 0.2, 7: 0.2, 9: 0.3}
            for diagnosis, factor in (factors or {}).items():
                table[rows, column[diagnosis]] *= factor
    elif name in ("ROUTE1", "ROUTE2", "ROUTE3"):
        named = substance[f"sub{name[-1]}"]
        for code, shares in ROUTE_OF.items():
            rows = named == code
            table[rows, column[-9]] = 0.008
            for route, share in enumerate(shares, 1):
                table[rows, column[route]] = share / 100
        only(named <= 1, {-9})
        if name == "ROUTE2":
            table[levels["injects1"] == 1, column[4]] *= 4
        elif name == "ROUTE3":
            table[levels["injects"] == 1, column[4]] *= 4
    elif name.startswith("FRSTUSE"):
        named = substance[f"sub{name[-1]}"]
        table[:, column[-9]] *= 0.15
        late = {2: {1: 1.5, 2: 1.3, 6: 0.6, 7: 0.6}, 4: {1: 2, 2: 2, 5: 0.4, 6: 0.2}}
        late[4][7] = 0.2
        for code in (3, 5, 6, 7, 10, 11, 12, 13):
            late[code] = {1: 0.3, 2: 0.4, 3: 0.7, 5: 1.3, 6: 1.4, 7: 1.4}
        for code, factors in late.items():
            for start, factor in factors.items():
                table[named == code, column[start]] *= factor
        # Nobody begins at an age that he or she has not reached.
        latest = np.array([2, 3, 4, 5, 6, 7, 7])[levels["age"]]
        for start in range(1, 8):
            table[latest < start, column[start]] = 0
        only(named <= 1, {-9})
    elif name in ("FREQ1", "FREQ2", "FREQ3"):
        named = substance[f"sub{name[-1]}"]
        daily = {5: 1.6, 7: 1.5, 6: 1.5, 2: 0.8, 4: 0.9, 3: 0.7, 9: 0.3}
        for code, factor in daily.items():
            table[named == code, column[3]] *= factor
        table[named > 1, column[-9]] *= 0.3
        if "freq1" in levels:
            for level in range(4):
                here = levels["freq1"] == level
                table[here, column[(-9, 1, 2, 3)[level]]] *= 3
        only(named <= 1, {-9})
    elif name == "SUB2":
        first = substance["sub1"]
        _likes(table, column, first)
        for code in range(2, 20):
            table[first == code, column[code]] = 0
        only(first <= 1, {-9, 1})
        table[np.ix_(first == -9, [column[-9]])] *= 8
    elif name == "SUB3":
        first, second = substance["sub1"], substance["sub2"]
        _likes(table, column, first)
        _likes(table, column, second)
        for code in range(2, 20):
            table[(first == code) | (second == code), column[code]] = 0
        # People who inject name a third substance more often.
        table[first == 5, 2:] *= 1.6
        only(second <= 1, {-9, 1})
        table[np.ix_(second == -9, [column[-9]])] *= 6
    elif name in ("SUB1_D", "SUB2_D", "SUB3_D"):
        first = substance[f"sub{name[3]}"]
        table *= 0.02
        for code in (-9, *range(1, 20)):
            table[first == code, column[code]] += 0.85 if code > 1 else 0.6
            if code > 1:
                table[first == code, column[1]] += 0.06
                table[first == code, column[-9]] += 0.08
        if name == "SUB1_D":
            only(first == 1, {-9, 1, *range(2, 20)})
        if name == "SUB2_D":
            lead = substance["sub1_d"]
            for code in range(2, 20):
                table[lead == code, column[code]] = 0
            only(lead <= 1, {-9, 1})
        if name == "SUB3_D":
            only(levels["present2_d"] == 0, {-9, 1})
    elif name.endswith("_D") and name.startswith("FREQ") and "ATND" not in name:
        before, place = f"freq{name[4]}", f"present{name[4]}_d"
        for level in range(1, 4):
            here = levels[before] == level
            table[here, column[level]] *= 3
            table[here, column[1]] *= 2
        only(levels[place] == 0, {-9})
    elif name in ("EMPLOY_D", "LIVARAG_D", "ARRESTS_D", "FREQ_ATND_SELF_HELP_D"):
        (part,) = step.keys
        for level, (code,) in enumerate(twin.PARTS[part].groups):
            table[levels[part] == level] *= 0.25
            table[levels[part] == level, column[code]] += 0.75
    elif name == "SERVICES_D":
        for level in range(8):
            table[level] *= 0.02
            table[level, column[level + 1]] += 0.98
    elif name == "DETNLF_D":
        for level in range(1, 6):
            here = levels["detnlf"] == level
            table[here] *= 0.25
            table[here, column[level]] += 0.75
        only(levels["outside_d"] == 0, {-9})
        table[levels["outside_d"] == 1, column[-9]] *= 0.05
    elif name == "DETNLF":
        only(levels["outside"] == 0, {-9})
        table[levels["outside"] == 1, column[-9]] *= 0.1
    elif name == "DETCRIM":
        only(levels["court"] == 0, {-9})
        table[levels["court"] == 1, column[-9]] *= 0.1
    elif name == "PREG":
        only(levels["gender"] != 2, {-9})
        table[levels["gender"] == 2, column[-9]] *= 0.05
    return table


def _of_state(name, year, table, column, levels):
    """Bend a table towards what is known of each state."""
    if name == "SUB1":
        table[:] = twin_states.substances(year)[levels["state"]]
    elif name == "SERVICES":
        table *= twin_states.services(levels, list(column), year)
    elif name in ("RACE", "ETHNIC"):
        codes, shares = twin_states.admitted(name)
        kept = np.array([column[code] for code in codes])
        own = shares / np.average(
            shares, axis=0, weights=twin_states.official_rows(2019)
        )
        table[:, kept] *= np.maximum(own, 0.02)[levels["state"]]


def _likes(table, column, first):
    """Bend the second or third substance towards what is often used with the first."""
    pairs = {
        2: {4: 1.5, 3: 1.3, 5: 0.5, 10: 0.8},
        3: {2: 1.6, 4: 1.2, 5: 1.2},
        4: {2: 1.6, 10: 0.9, 5: 0.3, 3: 0.7},
        5: {3: 1.8, 7: 1.6, 13: 1.6, 10: 1.3, 2: 0.5, 4: 0.7},
        7: {5: 0.9, 13: 1.8, 4: 1.1, 10: 1.2},
        10: {4: 1.9, 2: 0.9, 5: 1.2, 3: 0.4},
    }
    for code, factors in pairs.items():
        for other, factor in factors.items():
            table[first == code, column[other]] *= factor
