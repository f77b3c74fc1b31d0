/* The page "Five things to touch": each block holds its data as JSON, its controls in a
   form that is hidden without this script, a drawing, and a sentence that says it all. */
(() => {
  "use strict";
  const count = (number) => Math.round(number).toLocaleString("en-US");
  const percent = (part, whole) => Math.round((100 * part) / whole);
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const escape = (text) =>
    String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const beside = (field, text) => {
    field.setAttribute("aria-valuetext", text);
    field.parentElement.querySelector("[data-beside]").textContent = text;
  };
  const bar = (label, parts, said) =>
    `<div class="touch-bar"><span>${escape(label).replaceAll("/", "/<wbr>")}</span><i>` +
    parts.map(([kind, part]) => `<b class="${kind}" style="width:${part}%"></b>`).join("") +
    `</i><span>${escape(said)}</span></div>`;

  /* 1. A record, drawn from the patches of the sprite: a strip of texts a variable. */
  function record(data, form, picture, say) {
    const names = data.variables.map((variable) => variable.name);
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = data.side;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const sprite = new Image();
    let before = null;
    const mark = document.createElement("span");
    mark.className = "touch-mark";
    const derive = () => {
      const named = data.substances.map((name) => form.elements[name].value);
      for (const [flag, code] of Object.entries(data.flags)) {
        const field = form.elements[flag];
        field.value = named.includes(String(code)) ? "1" : "0";
      }
    };
    const draw = (changed) => {
      derive();
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, data.side, data.side);
      const cells = data.layouts[form.elements.layout.value];
      names.forEach((name, place) => {
        const [x, y, wide, high, left] = cells[place];
        const level = form.elements[name].selectedIndex;
        pen.drawImage(sprite, left, level * high, wide, high, x, y, wide, high);
      });
      const now = pen.getImageData(0, 0, data.side, data.side).data;
      let lit = 0;
      let moved = 0;
      for (let at = 0; at < now.length; at += 4) {
        lit += now[at] > 0;
        moved += before !== null && now[at] !== before[at];
      }
      before = now;
      const all = data.side * data.side;
      let text = `The 28 answers light ${count(lit)} of ${count(all)} pixels, ${percent(lit, all)}% of the picture.`;
      const place = names.indexOf(changed);
      mark.hidden = place < 0;
      if (place >= 0) {
        const [x, y, wide, high] = cells[place].map((number) => (100 * number) / data.side);
        mark.style.cssText = `left:${x - 1.2}%;top:${y - 1.2}%;width:${wide + 2.4}%;height:${high + 2.4}%`;
      }
      if (changed) text += ` Your last change altered ${count(moved)} pixels.`;
      say(text);
    };
    form.addEventListener("input", (event) => draw(event.target.name));
    sprite.onload = () => {
      picture.textContent = "";
      picture.append(canvas, mark);
      draw(null);
    };
    sprite.src = data.sprite;
  }

  /* 2. Counts of people by score, group and outcome; a threshold cuts them. */
  function threshold(data, form, picture, say) {
    const slider = form.elements.threshold;
    const above = (counts, first) => sum(counts.slice(first));
    const draw = () => {
      const first = Number(slider.value);
      const groups = data.groups.map((group) => ({
        name: group.name,
        found: above(group.yes, first),
        complete: sum(group.yes),
        wrong: above(group.no, first),
        other: sum(group.no),
      }));
      const [found, complete, wrong, other] = ["found", "complete", "wrong", "other"].map(
        (name) => sum(groups.map((group) => group[name])),
      );
      const precision = found + wrong ? found / (found + wrong) : NaN;
      const shown = (number) => (Number.isNaN(number) ? "undefined" : number.toFixed(2));
      // F0.5 = 1.25 TP / (1.25 TP + 0.25 FN + FP)
      const score = (1.25 * found) / (1 * found + 0.25 * complete + wrong);
      const at = data.scores[first].toFixed(2);
      beside(slider, at);
      const named = groups.filter((group) => group.name !== data.others);
      say(
        `At a threshold of ${at}, ${count(found + wrong)} of ${count(complete + other)} people` +
          ` are predicted to complete: precision ${shown(precision)}, recall` +
          ` ${shown(found / complete)}, F0.5 ${shown(score)}. Found, of 100 who complete: ` +
          `${named.map((g) => `${g.name} ${percent(g.found, g.complete)}`).join(", ")}.` +
          " The rest are missed.",
      );
      picture.innerHTML = named
        .map((g) => {
          const part = percent(g.found, g.complete);
          const wrongly = percent(g.wrong, g.other);
          return bar(
            g.name,
            [["found", part], ["missed", 100 - part]],
            `found ${part}, missed ${100 - part}; of 100 others, ${wrongly} predicted to complete`,
          );
        })
        .join("");
    };
    form.addEventListener("input", draw);
    draw();
  }

  /* 3. A measure with its interval, looked up: the page has computed every one. */
  function fairness(data, form, picture, say) {
    const draw = () => {
      const chosen = ["measure", "family", "smallest"].map((name) => form.elements[name].value);
      const row = data.rows.find((each) => chosen.every((value, at) => String(each[at]) === value));
      const [, , , value, low, high, verdict, limit, groups, ends] = row;
      const place = (number) => `${Math.max(0, Math.min(100, 100 * number))}%`;
      say(row[row.length - 1]);
      picture.innerHTML =
        value === null
          ? "undefined"
          : `<div class="touch-line ${verdict === "passes" ? "good" : verdict === "fails" ? "bad" : ""}">` +
            `<i style="left:${place(low)};right:calc(100% - ${place(high)})"></i>` +
            `<b style="left:${place(value)}"></b>` +
            `<u style="left:${place(limit)}"></u>` +
            `<span style="left:${place(limit)}">${limit}</span><span>0</span><span>1</span></div>`;
    };
    form.addEventListener("input", draw);
    draw();
  }

  /* 4. Noise: labels that nothing predicts, balanced before or after the split. */
  function noise(data, form, picture, say) {
    const { people, columns, levels, shares, neighbours, held_out: heldOut } = data;
    let state = data.seed;
    const random = () => {
      // mulberry32: the same draws in every browser
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
    const below = (most) => Math.floor(random() * most);
    const shuffled = (rows) => {
      const copy = rows.slice();
      for (let at = copy.length - 1; at > 0; at--) {
        const other = below(at + 1);
        [copy[at], copy[other]] = [copy[other], copy[at]];
      }
      return copy;
    };
    const apart = (a, b) => {
      let found = 0;
      for (let at = 0; at < columns; at++) found += a.x[at] !== b.x[at];
      return found;
    };
    const nearest = (row, rows, many) =>
      rows
        .map((each) => [apart(row, each), each])
        .sort((a, b) => a[0] - b[0])
        .slice(0, many)
        .map((pair) => pair[1]);
    const commonest = (values) => {
      const counts = Array(levels).fill(0);
      values.forEach((value) => counts[value]++);
      return counts.indexOf(Math.max(...counts));
    };
    const balanced = (rows) => {
      const classes = shares.map((_, label) => rows.filter((row) => row.y === label));
      const most = Math.max(...classes.map((each) => each.length));
      const made = classes.flatMap((each, label) =>
        each.length
          ? Array.from({ length: most - each.length }, () => {
              const near = nearest(each[below(each.length)], each, neighbours);
              const x = Array.from({ length: columns }, (_, at) => commonest(near.map((r) => r.x[at])));
              return { x, y: label };
            })
          : [],
      );
      return rows.concat(made);
    };
    const split = (rows) => {
      const mixed = shuffled(rows);
      const cut = Math.round(mixed.length * heldOut);
      return [mixed.slice(cut), mixed.slice(0, cut)];
    };
    const right = (train, test) => {
      // Each class counts alike, so that a guess is right in one of four.
      const rates = shares.map((_, label) => {
        const rows = test.filter((row) => row.y === label);
        const hits = rows.filter((row) => {
          let best = columns + 1;
          let said = -1;
          for (const each of train) {
            const far = apart(row, each);
            if (far < best) [best, said] = [far, each.y];
          }
          return said === label;
        });
        return rows.length ? hits.length / rows.length : null;
      });
      const known = rates.filter((rate) => rate !== null);
      return Math.round((100 * sum(known)) / known.length);
    };
    const label = () => {
      let left = random();
      const found = shares.findIndex((share) => (left -= share) < 0);
      return found < 0 ? 0 : found;
    };
    const runs = { before: [], after: [] };
    const draw = () => {
      const rows = Array.from({ length: people }, () => ({
        x: Array.from({ length: columns }, () => below(levels)),
        y: label(),
      }));
      runs.before.push(right(...split(balanced(rows))));
      const [train, test] = split(rows);
      runs.after.push(right(balanced(train), test));
      const last = (name) => runs[name][runs[name].length - 1];
      const mean = (name) => Math.round(sum(runs[name]) / runs[name].length);
      say(
        `Draw ${runs.before.length}: balanced before the split, ${last("before")} of 100 are right;` +
          ` balanced after the split, ${last("after")} of 100. A guess is right in 25 of 100.` +
          ` Mean of all draws: ${mean("before")} and ${mean("after")}.`,
      );
      picture.innerHTML = [["before", "balanced before the split"], ["after", "balanced after the split"]]
        .map(([name, words]) => {
          const dots = runs[name].map((value) => `<b style="left:${value}%"></b>`).join("");
          return `<span>${words}</span><div class="touch-line ${name === "before" ? "bad" : "good"}">${dots}<u style="left:25%"></u><span style="left:25%">a guess</span><span>0</span><span>100</span></div>`;
        })
        .join("");
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      draw();
    });
    draw();
  }

  /* 5. A linear rule: what each medicine adds for the person of the sliders. */
  function rule(data, form, picture, say) {
    const course = (number) => {
      const size = Math.abs(number).toFixed(1);
      return `to ${number < 0 && size !== "0.0" ? "rise" : "fall"} by ${size}`;
    };
    const draw = () => {
      const totals = data.base.slice();
      const words = data.covariates.map((covariate) => {
        const field = form.elements[covariate.name];
        const yes = field.type === "checkbox";
        const value = yes ? Number(field.checked) : Number(field.value);
        covariate.slopes.forEach((slope, at) => {
          totals[at] += slope * (value - covariate.middle);
        });
        const shown = yes ? (value ? "yes" : "no") : `${value.toFixed(covariate.digits)}${covariate.unit}`;
        if (!yes) beside(field, shown);
        return `${covariate.label} ${shown}`;
      });
      const [anyway, ...effects] = totals;
      const given = data.medicines.filter((_, at) => effects[at] > 0);
      const best = anyway + sum(effects.map(Math.abs));
      const none = anyway - sum(effects);
      say(
        `${words.join(", ")}: the rule advises ${given.join(" + ") || "no medicine"}. HbA1c is` +
          ` expected ${course(best)} percentage points; without medicine, ${course(none)}.`,
      );
      const most = data.most;
      picture.innerHTML = data.medicines
        .map((name, at) => {
          const adds = 2 * effects[at];
          const part = Math.min(50, (50 * Math.abs(adds)) / most);
          const kind = adds > 0 ? "found" : "wrong";
          const parts = adds > 0 ? [["gap", 50], [kind, part]] : [["gap", 50 - part], [kind, part]];
          return bar(name, parts, `${adds > 0 ? "+" : "\u2212"}${Math.abs(adds).toFixed(1)}: ${adds > 0 ? "advised" : "not advised"}`);
        })
        .join("");
    };
    form.addEventListener("input", draw);
    draw();
  }

  const kinds = { record, threshold, fairness, noise, rule };
  for (const block of document.querySelectorAll("[data-touch]")) {
    const form = block.querySelector("form");
    const said = block.querySelector("output");
    const say = (text) => {
      said.textContent = text;
    };
    const data = JSON.parse(block.querySelector("script").textContent);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    kinds[block.dataset.touch](data, form, block.querySelector(".touch-picture"), say);
  }
})();
