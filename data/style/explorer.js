/* Filters, search, sorting, links and CSV for the claims.  Without it everything is
   there and can be unfolded; it needs no network and no library. */
(() => {
  const root = document.currentScript?.previousElementSibling
    ?? document.querySelector(".claims-explorer");
  if (!root?.matches(".claims-explorer")) return;
  const form = root.querySelector("form.filters");
  const search = form.querySelector("input");
  const picks = Object.fromEntries(
    [...form.querySelectorAll("select")].map((s) => [s.dataset.filter, s]));
  const parts = [...root.querySelectorAll("details")];
  const rows = [...root.querySelectorAll("details tr[id]")];
  const head = root.querySelector("table.headlines");
  // A group says once what all its claims share.
  const groups = new Map();
  for (const table of root.querySelectorAll("details table")) {
    let group = null;
    for (const row of table.tBodies[0].rows) {
      if (row.matches(".group")) group = row;
      else groups.set(row, group);
    }
  }
  // Its title, without the link and the sign of a reason behind it.
  const about = (row) => groups.get(row).cells[0].firstChild.textContent.replace(/;\s*$/, "");
  const verdict = (row) =>
    picks.verdict.querySelector(`option[value=${row.className}]`).textContent;
  // A reason that several claims share stands above them, under a number.
  const reason = (row) => {
    const cell = row.cells[3];
    const place = (cell.textContent.trim() ? cell : groups.get(row)).querySelector("sup");
    const why = place
      ? row.closest("section").querySelectorAll(".why li")[place.textContent - 1]
      : cell.querySelector("small");
    return why?.textContent ?? "";
  };
  const where = (row) => row.closest("details").querySelector("summary b").textContent;
  // As it is typed, and as other programs read it.
  const plain = (text) => text.replaceAll("−", "-");
  const texts = new Map(rows.map((row) => [
    row,
    plain([row.id, row.textContent, verdict(row), reason(row), about(row), where(row)]
      .join(" ").toLowerCase()),
  ]));
  const study = (row) => row.closest("section").dataset.study;
  const wanted = (row, words) =>
    (!picks.study.value || study(row) === picks.study.value)
    && (!picks.verdict.value || row.className === picks.verdict.value)
    && (!picks.page.value || row.querySelector(`a[href^="${picks.page.value}.html"]`))
    && words.every((word) => texts.get(row).includes(word));

  function show() {
    const words = plain(search.value.toLowerCase()).split(/\s+/).filter(Boolean);
    const asked = words.length > 0 || Object.values(picks).some((pick) => pick.value);
    let count = 0;
    for (const row of rows) {
      row.hidden = !wanted(row, words);
      count += !row.hidden;
    }
    for (const group of root.querySelectorAll("details tr.group")) {
      let next = group.nextElementSibling;
      group.hidden = true;
      while (next && !next.matches(".group")) {
        if (!next.hidden) group.hidden = false;
        next = next.nextElementSibling;
      }
    }
    for (const part of parts) {
      const found = part.querySelectorAll("tr[id]:not([hidden])").length;
      part.hidden = found === 0;
      part.open = asked && found > 0 && count <= 120;
    }
    for (const section of root.querySelectorAll("section")) {
      section.hidden = !section.querySelector("details:not([hidden])");
    }
    head.hidden = asked;
    form.querySelector("output").textContent = asked
      ? `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} claims`
      : `${rows.length.toLocaleString("en")} claims`;
  }

  function csv() {
    const quote = (text) => `"${plain(text).trim().replace(/\s+/g, " ").replaceAll('"', '""')}"`;
    const lines = [["id", "study", "printed in", "about", "claim", "printed", "ours", "verdict", "reason"]];
    for (const row of rows.filter((each) => !each.hidden)) {
      const cells = [...row.cells].slice(0, 3).map((cell) => cell.textContent.replace("¶", ""));
      lines.push([row.id, study(row), where(row), about(row), ...cells, verdict(row), reason(row)]);
    }
    const text = lines.map((line) => line.map(quote).join(",")).join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "claims.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // A click on a head sorts the rows of its table, each group by itself.
  function sort(cell) {
    const body = cell.closest("table").tBodies[0];
    const place = cell.cellIndex;
    const down = cell.getAttribute("aria-sort") === "ascending";
    for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const text = plain(row.cells[place].textContent).trim();
      const number = Number.parseFloat(text.replaceAll(",", ""));
      return Number.isNaN(number) ? text : number;
    };
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      const less = typeof x === typeof y ? x < y : typeof x === "number";
      return x === y ? 0 : (less ? -1 : 1) * (down ? -1 : 1);
    };
    let bunch = [];
    const flush = (before) => {
      for (const row of bunch.sort(order)) body.insertBefore(row, before);
      bunch = [];
    };
    for (const row of [...body.rows]) {
      if (row.matches(".group")) flush(row);
      else bunch.push(row);
    }
    flush(null);
  }

  // #?search=97.98&verdict=i asks, #b.completed.tree.accuracy shows one claim.
  function jump() {
    if (location.hash.startsWith("#?")) {
      const asked = new URLSearchParams(location.hash.slice(2));
      search.value = asked.get("search") ?? "";
      for (const [name, pick] of Object.entries(picks)) pick.value = asked.get(name) ?? "";
      show();
      return;
    }
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!row || !root.contains(row)) return;
    if (row.hidden) { form.reset(); show(); }
    row.closest("details")?.setAttribute("open", "");
    row.scrollIntoView({ block: "center" });
  }

  for (const row of head.querySelectorAll("[data-key]")) {
    for (const link of row.querySelectorAll("a")) link.href += `#${row.dataset.key}`;
  }
  for (const row of rows) {
    // Our number leads to the row of the page's own table.
    const page = groups.get(row).querySelector("a");
    const number = row.cells[2].firstChild;
    if (page && number?.textContent.trim()) {
      const link = document.createElement("a");
      link.setAttribute("href", page.getAttribute("href"));
      number.replaceWith(link);
      link.append(number);
    }
    for (const link of row.querySelectorAll("td a[href$='.html']")) {
      link.setAttribute("href", `${link.getAttribute("href")}#${row.id}`);
    }
    const link = document.createElement("a");
    link.href = `#${row.id}`;
    link.className = "permalink";
    link.title = "Link to this claim";
    link.textContent = "¶";
    row.cells[0].prepend(link);
  }
  for (const cell of root.querySelectorAll("thead th")) {
    cell.tabIndex = 0;
    cell.title = "Sort";
    cell.addEventListener("click", () => sort(cell));
    cell.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(cell); }
    });
  }
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", show);
  form.querySelector("[data-do=csv]").addEventListener("click", csv);
  form.querySelector("[data-do=clear]").addEventListener("click", () => { form.reset(); show(); });
  addEventListener("hashchange", jump);
  show();
  jump();
})();
