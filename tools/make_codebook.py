"""Rebuild ``data/codebook`` and ``data/registry.csv`` from the facts gathered.

    python tools/make_codebook.py FOLDER

``FOLDER`` holds what was read out of the agency's codebooks (public domain) and of
public mirrors of the downloads: ``codebook/``, ``aggregates/``, ``downloads.csv`` and
``download_urls.json``.  It is not part of the repository; the four small tables that
this script writes are:

* ``years.csv``: a row for each year, with its size and what is known of it;
* ``variables.csv``: a row for each variable, with the years that have it;
* ``codes.csv``: a row for each code, with its wordings and its frequency each year;
* ``registry.csv``: a row for each download, with its addresses and SHA-256.
"""

import csv
import json
import re
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
PRINTED = range(2015, 2020)  # the years whose whole codebook is at hand
YEARS = range(2015, 2024)

# One name for what the agency renamed over the years.
RENAMED = {"CBSA": "CBSA2010"}

ORDERED = """AGE EDUC ARRESTS ARRESTS_D DAYWAIT LOS NOPRIOR NUMSUBS FREQ1 FREQ2 FREQ3
FREQ1_D FREQ2_D FREQ3_D FRSTUSE1 FRSTUSE2 FRSTUSE3""".split()
IDENTIFIERS = ["CASEID", "DISYR", "YEAR", "CBSA2010"]

# In our words; the codebook's own descriptions run to a page.
DESCRIPTIONS = {
    "DISYR": "Year in which treatment ended.",
    "CASEID": "Number of the record, made by the agency; it says nothing of a person.",
    "YEAR": "A second copy of the year of discharge (2015 and 2016 only).",
    "GENDER": "Biological sex as reported; named SEX in the file of 2023.",
    "RACE": "Race as reported to the state.",
    "EDUC": "Highest school grade completed, or current grade of a child at school.",
    "CBSA2010": "Metropolitan or micropolitan statistical area of the programme.",
    "REGION": "Census region of the state; the territories are a region of their own.",
    "DIVISION": "Census division of the state.",
    "LOS": "Days from admission to last contact: single days up to 30, then bands.",
    "DETNLF": "More detail where EMPLOY is 4 (not in labor force), else missing.",
    "DETNLF_D": "More detail where EMPLOY_D is 4 (not in labor force), else missing.",
    "DETCRIM": "More detail where PSOURCE is 7 (criminal justice), else missing.",
    "PREG": "Whether a woman was pregnant at admission; missing for every man.",
    "METHUSE": "Whether methadone, buprenorphine or naltrexone is in the plan.",
    "IDU": "Injection is among the routes of the substances reported.",
    "ETHNIC": "Hispanic or Latino origin, if any.",
    "MARSTAT": "Marital status in the categories of the US Census.",
    "ALCDRUG": "Alcohol, other drugs, both or none among SUB1 to SUB3.",
    "DSMCRIT": "Diagnosis that led to treatment, codes of DSM and ICD put together.",
    "FREQ_ATND_SELF_HELP": "Visits to self-help groups in 30 days before admission.",
    "FREQ_ATND_SELF_HELP_D": "Visits to self-help groups in 30 days before discharge.",
    "NUMSUBS": "How many of SUB1 to SUB3 name a substance (2015 and 2016 only).",
    "VET": "Whether the person has served in the uniformed services.",
    "REASON": "How treatment ended; 1 (completed) is what the studies predict.",
    "SERVICES": "Service or setting at admission.",
    "SERVICES_D": "Service or setting at discharge.",
    "DAYWAIT": "Days from first request for treatment until admission.",
    "NOPRIOR": "Earlier treatment episodes; only none or some since 2015.",
    "HLTHINS": "Health insurance at admission; reporting it is optional.",
    "PRIMPAY": "Expected main source of payment; reporting it is optional.",
    "PSOURCE": "Person or agency that referred the person to treatment.",
    "EMPLOY": "Employment status at admission.",
    "EMPLOY_D": "Employment status at discharge.",
    "LIVARAG": "Homeless, dependent or independent living at admission.",
    "LIVARAG_D": "Homeless, dependent or independent living at discharge.",
    "ARRESTS": "Arrests in the 30 days before admission.",
    "ARRESTS_D": "Arrests in the 30 days before discharge.",
    "AGE": "Age at admission, in twelve bands.",
    "PRIMINC": "Main source of income; for a child that of the parents.",
    "STFIPS": "State or territory that reported the record, by its Census code.",
    "PSYPROB": "Mental and substance use disorders together.",
}
RANKS = {"1": "primary", "2": "secondary", "3": "tertiary"}
for number, rank in RANKS.items():
    DESCRIPTIONS |= {
        f"SUB{number}": f"The {rank} substance at admission.",
        f"SUB{number}_D": f"The {rank} substance at discharge.",
        f"ROUTE{number}": f"Usual route of the {rank} substance.",
        f"FREQ{number}": f"How often the {rank} substance was used before admission.",
        f"FREQ{number}_D": f"How often the {rank} substance was used at discharge.",
        f"FRSTUSE{number}": (
            f"Age at first use of the {rank} substance (alcohol: first intoxication)."
        ),
    }
FLAG = re.compile(r"(.*) reported at admission")

NOTES = {
    2015: "order of columns known in part; SERVICES and YEAR beyond the codebook's 76",
    2016: "order of columns known in part; SERVICES and YEAR beyond the codebook's 76",
    2020: "27 variables' frequencies, worked out as differences of published pools",
    2021: "the agency's CSV holds text labels in latin-1; size and hash not known",
    2022: "size and hashes known; codebook not at hand",
    2023: "SEX for GENDER, CBSA2020 for CBSA2010; hash not known",
}
ROWS_2023 = 1474025  # the file from which the public 1,000-row sample was drawn

SITE = "https://www.samhsa.gov/data/system/files/media-puf-file/"
OLD_SITE = (
    "https://www.datafiles.samhsa.gov/sites/default/files/field-uploads-protected/"
    "studies/TEDS-D-{year}/TEDS-D-{year}-datasets/TEDS-D-{year}-DS0001/"
    "TEDS-D-{year}-DS0001-bundles-with-study-info/"
)


def plain(label):
    """Return a label with one spelling of dashes, blanks, quotes and case."""
    label = label.casefold()
    label = re.sub(r"[\u2010-\u2015\u2212\ufffd\x96\x97]", "-", label)
    return re.sub(r"[^a-z0-9-]+", " ", label).strip()


def write(name, header, rows):
    """Write one table below data/, with plain line ends."""
    path = DATA / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size} bytes")


def main(folder):
    """Write the four tables from the facts in ``folder``."""
    folder = Path(folder)
    books = {
        year: json.loads((folder / f"codebook/teds_d_{year}_codebook.json").read_text())
        for year in PRINTED
    }
    order = json.loads((folder / "codebook/header_order.json").read_text())
    columns = order["columns_2017_2020"]
    downloads = {}
    with open(folder / "downloads.csv", newline="") as stream:
        for row in csv.DictReader(stream):
            downloads[int(row["year"])] = row
    addresses = json.loads((folder / "download_urls.json").read_text())

    years = []
    for year in YEARS:
        known = "complete" if year in books else "partial" if year == 2020 else "none"
        rows = downloads[year]["n_data_rows"] if year in downloads else ""
        if year in books and int(rows) != books[year]["N"]:
            raise SystemExit(f"{year}: downloads.csv and the codebook differ in size")
        if year == 2023:
            rows = ROWS_2023
        without = "; ".join(books[year]["states_excluded"]) if year in books else ""
        years.append((year, rows, 78 if year < 2017 else 76, known, without))
        years[-1] += (NOTES.get(year, ""),)
    header = ["year", "rows", "columns", "codebook", "states_excluded", "note"]
    write("codebook/years.csv", header, years)

    found = {}  # variable -> year -> its entry in that year's codebook
    for year, book in books.items():
        for entry in book["variables"]:
            name = RENAMED.get(entry["name"], entry["name"])
            found.setdefault(name, {})[year] = entry
    variables = []
    for name in [*columns, "NUMSUBS", "YEAR"]:
        entries = found.get(name, {})
        newest = entries[max(entries)] if entries else {}
        label = newest.get("label", "Year of discharge (copy)")
        label = label.capitalize() if label.isupper() else label
        flag = FLAG.fullmatch(label)
        if flag and name.endswith("FLG"):
            text = f"{flag[1]}: named among SUB1 to SUB3, so derived from them."
        else:
            text = DESCRIPTIONS[name]
        scale = (
            "identifier"
            if name in IDENTIFIERS
            else "ordered"
            if name in ORDERED
            else "nominal"
        )
        last = 2016 if name in ("NUMSUBS", "YEAR") else YEARS[-1]
        variables.append((name, label, text, scale, YEARS[0], last))
    header = ["variable", "label", "description", "scale", "first_year", "last_year"]
    write("codebook/variables.csv", header, variables)

    pool = {}
    name = "aggregates/teds_d_2020_value_counts_by_difference.csv"
    with open(folder / name, newline="") as stream:
        for row in csv.DictReader(stream):
            pool[row["variable"], int(row["code"])] = int(row["count_2020"])
    rest = json.loads((folder / "codebook/file_format_verified.json").read_text())
    areas = {2018: rest["2018"]["implied_CBSA2010_missing"]}
    for year in (2017, 2019):
        areas[year] = int(re.search(r"count (\d+)", rest[str(year)]["note"])[1])

    codes = []
    for name, *_ in variables:
        wordings, counts = {}, {}
        for year, entry in sorted(found.get(name, {}).items(), reverse=True):
            for value in entry["values"]:
                code = value["code"]
                if isinstance(code, int):  # the pseudo row "other codes" is text
                    wordings.setdefault(code, []).append(value["label"].strip())
                    counts.setdefault(code, {})[year] = value["frequency"]
        for (variable, code), count in pool.items():
            if variable == name:
                counts[code][2020] = count
        if name == "CBSA2010":
            for year, count in areas.items():
                counts[-9][year] = count
        if name == "DISYR":
            counts = {}  # every row of a file has that file's year
        if name == "STFIPS":
            # In no file up to 2019, but states that a later one may hold.
            for code, label in ((41, "Oregon"), (54, "West Virginia")):
                wordings[code], counts[code] = [label], {}
        # -9 first, as a column sorts it.
        for code in sorted(counts):
            newest, *older = wordings[code]
            if name == "CBSA2010" and code > 0:
                # "ALBANY, GA METRO": the town as a name, the state as it is.
                town, rest_of_it = newest.title().split(", ")
                states, kind = rest_of_it.split(" ")
                newest = f"{town}, {states.upper()} {kind}"
            elif code == -9:
                newest = newest.capitalize()
            others = {}
            for label in older:
                if plain(label) != plain(newest):
                    others.setdefault(plain(label), label)
            frequencies = [counts[code].get(year, "") for year in [*PRINTED, 2020]]
            codes.append((name, code, newest, "|".join(others), *frequencies))
    header = ["variable", "code", "label", "also"]
    header += [f"f{year}" for year in [*PRINTED, 2020]]
    write("codebook/codes.csv", header, codes)

    registry = []
    lower = next(
        item["url"] for item in addresses["variants"] if "2023" in item.get("url", "")
    )
    names = addresses["data_file_names_inside_zip"]
    for year in YEARS:
        row = downloads.get(year, {})
        old = OLD_SITE.format(year=year)
        if year == 2023:
            links = [lower]
            bundle = lower.rsplit("/", 1)[1]
        elif year == 2021:
            bundle = "TEDS-D-2021-DS0001-bndl-data-csv_v1.zip"
            links = [SITE + bundle, old + bundle]
        else:
            bundle = row["bundle"]
            # The older site closed before the file of 2022.
            links = [row["url"], old + bundle][: 1 if year > 2021 else 2]
        registry.append(
            (
                year,
                bundle,
                row.get("bundle_bytes", ""),
                row.get("bundle_sha256", ""),
                names[str(year)].split()[0],
                row.get("data_bytes", ""),
                row.get("data_sha256", ""),
                " ".join(links),
            )
        )
    header = ["year", "zip", "zip_bytes", "zip_sha256"]
    header += ["csv", "csv_bytes", "csv_sha256", "urls"]
    write("registry.csv", header, registry)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
