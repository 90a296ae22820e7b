// The page's own script: one focus for all charts, the case table, the pair chart, the viewer.
// Everything it needs is in the page; it builds text with textContent, never with markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const focusable = [];
document.documentElement.classList.add("js");

const byId = (id) => document.getElementById(id);
const element = (tag, attributes = {}, text = "") => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
};

// Charts. Each stands in the page as a picture; the interactive one replaces it when it is near.

const embed = async (holder) => {
  const specification = JSON.parse(byId(holder.dataset.chart).textContent);
  const isPairs = holder.id === "pair-chart";
  if (isPairs) specification.datasets.cases = pairRows();
  const box = element("div");
  const { view } = await vegaEmbed(box, specification, { actions: false, renderer: "svg", ast: true });
  if (specification.params) focusable.push(view);
  if (isPairs) followPairs(view);
  holder.replaceChildren(box);
  focus(focused);
};

let focused = "";
const focus = (name) => {
  focused = name;
  for (const view of focusable) view.signal("focus", name).runAsync();
  for (const chip of document.querySelectorAll(".chip")) {
    chip.setAttribute("aria-pressed", String(name !== "" && chip.dataset.model === name));
  }
};

for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => focus(chip.dataset.model === focused ? "" : chip.dataset.model));
}

const whenNear = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((entry) => entry.isIntersecting)) {
    whenNear.unobserve(entry.target);
    embed(entry.target);
  }
}, { rootMargin: "300px" });
for (const holder of document.querySelectorAll(".chart[data-chart]")) whenNear.observe(holder);

// Case by case: the difference of any two models, from the scores that the table shows.

const pairChoices = ["pair-task", "pair-a", "pair-b"].map(byId);
const pairRows = () => {
  const [target, first, second] = pairChoices.map((choice) => Number(choice.value));
  const { cases, sizes, weights, scores, means, of } = data.targets[target];
  const [a, b] = [scores[data.primary][first], scores[data.primary][second]];
  const rows = cases.map((name, i) => ({ case: name, size: sizes ? sizes[i] : (a[i] + b[i]) / 2, difference: a[i] - b[i], a: a[i], b: b[i], weight: weights ? weights[i] : 1 }));
  // Of a sample the mean is not that of its rows: they carry that of all cases.
  const total = rows.reduce((sum, row) => sum + row.weight, 0);
  const mean = means ? means[first] - means[second] : rows.reduce((sum, row) => sum + row.weight * row.difference, 0) / total;
  for (const row of rows) row.mean = mean;
  const higher = rows.filter((row) => row.difference > 0).length;
  const lower = rows.filter((row) => row.difference < 0).length;
  byId("pair-a-first").textContent = data.models[first].label;
  byId("pair-b-first").textContent = data.models[second].label;
  byId("pair-count").textContent = `higher in ${higher}, lower in ${lower}, equal in ${rows.length - higher - lower} of ${rows.length} cases${of ? ` shown, of ${of.toLocaleString("en")}` : ""}`;
  return rows;
};
const followPairs = (view) => {
  for (const choice of pairChoices) choice.addEventListener("change", () => view.data("cases", pairRows()).runAsync());
  view.addEventListener("click", (_, item) => item?.datum?.case && table.find(pairChoices[0].value, item.datum.case));
};

// The case table: rows are drawn only where they can be seen.

const ROW = 30;
const table = (() => {
  const holder = byId("rows");
  if (!holder) return { find() {} };
  const [target, metric, search, spread] = ["case-task", "case-metric", "case-search", "case-spread"].map(byId);
  const head = holder.querySelector("thead"), body = holder.querySelector("tbody"), count = byId("case-count");
  let columns = [], shown = [], total = "", order = { column: 0, down: false };

  const number = (digits) => (value) => value.toFixed(digits);
  const build = () => {
    const { cases, groups, sizes, scores, of } = data.targets[target.value];
    total = of ? ` shown, of ${of.toLocaleString("en")} in all` : "";
    const { digits } = data.metrics.find((one) => one.name === metric.value);
    const own = scores[metric.value];
    const gap = cases.map((_, i) => Math.max(...own.map((s) => s[i])) - Math.min(...own.map((s) => s[i])));
    columns = [
      { title: "case", values: cases, kind: "id" },
      ...(groups ? [{ title: "group", values: groups, kind: "id" }] : []),
      ...(sizes ? [{ title: "size", values: sizes, show: (v) => (100 * v).toPrecision(3) + " %" }] : []),
      ...data.models.map((model, i) => ({ title: model.label, values: own[i], show: number(digits), model: true })),
      ...(own.length > 1 ? [{ title: "spread", values: gap, show: number(digits) }] : []),
    ];
    order = { column: columns.length - 1, down: own.length > 1 };
    head.replaceChildren(element("tr"));
    columns.forEach((column, i) => {
      const cell = element("th", { scope: "col", class: column.kind ? "name" : "" });
      const button = element("button", { type: "button" }, column.title);
      button.addEventListener("click", () => sort(i));
      cell.append(button);
      head.firstChild.append(cell);
    });
    filter();
  };
  const sort = (column) => {
    order = { column, down: order.column === column ? !order.down : !columns[column].kind };
    arrange();
  };
  const filter = () => {
    const words = search.value.trim().toLowerCase();
    const least = Number(spread?.value || 0);
    const texts = columns.filter((column) => column.kind), gap = columns.at(-1).values;
    shown = columns[0].values.map((_, i) => i).filter((i) =>
      (!words || texts.some((column) => column.values[i].toLowerCase().includes(words))) && (!spread || gap[i] >= least));
    arrange();
  };
  const arrange = () => {
    const { values, kind } = columns[order.column], sign = order.down ? -1 : 1;
    shown.sort((i, j) => sign * (kind ? values[i].localeCompare(values[j], undefined, { numeric: true }) : values[i] - values[j]) || i - j);
    [...head.firstChild.children].forEach((cell, i) =>
      cell.setAttribute("aria-sort", i !== order.column ? "none" : order.down ? "descending" : "ascending"));
    count.textContent = `${shown.length} of ${columns[0].values.length} cases${total}`;
    holder.querySelector("table").setAttribute("aria-rowcount", shown.length + 1);
    holder.scrollTop = 0;
    draw();
  };
  const row = (i, place) => {
    const made = element("tr", { "aria-rowindex": place + 2 });
    const best = Math.max(...columns.filter((c) => c.model).map((c) => data.sign[metric.value] * c.values[i]));
    for (const column of columns) {
      const cell = element("td", { class: column.kind ? "name id" : "" }, column.show ? column.show(column.values[i]) : column.values[i]);
      if (column.model && data.sign[metric.value] * column.values[i] === best) cell.className = "top";
      if (column.kind) cell.title = column.values[i];
      made.append(cell);
    }
    const look = data.looks[`${target.value} ${i}`];
    if (look !== undefined) {
      const link = element("a", { href: `#view-${look}` }, columns[0].values[i]);
      made.firstChild.replaceChildren(link);
    }
    return made;
  };
  const space = (height) => {
    const made = element("tr", { class: "space", "aria-hidden": "true" });
    made.append(element("td", { colspan: columns.length, style: `height:${height}px` }));
    return made;
  };
  const draw = () => {
    const first = Math.max(0, Math.floor(holder.scrollTop / ROW) - 10);
    const last = Math.min(shown.length, first + Math.ceil(holder.clientHeight / ROW) + 20);
    const rows = shown.slice(first, last).map((i, k) => row(i, first + k));
    body.replaceChildren(space(first * ROW), ...rows, space((shown.length - last) * ROW));
  };
  let waiting = false;
  holder.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  });
  for (const choice of [target, metric]) choice.addEventListener("change", build);
  for (const field of [search, spread]) field?.addEventListener("input", filter);
  build();
  return {
    find(task, name) {
      target.value = task;
      if (spread) spread.value = 0;
      search.value = name;
      build();
      holder.scrollIntoView({ block: "center" });
    },
  };
})();

// The viewer: the slider moves the strip of slices and sets each outline.

for (const box of document.querySelectorAll(".view")) {
  const drawing = data.drawings[box.dataset.view];
  const slider = box.querySelector("input[type=range]");
  const bare = box.querySelector("input[type=checkbox]");
  bare.addEventListener("change", () => box.classList.toggle("bare", !bare.checked));
  if (!slider) continue;
  const output = box.querySelector("output");
  const show = () => {
    const place = Number(slider.value);
    output.textContent = `slice ${drawing.slices[place] + 1} of ${drawing.depth}`;
    slider.setAttribute("aria-valuetext", output.textContent);
    for (const use of box.querySelectorAll("use")) use.setAttribute("y", -place * drawing.height);
    for (const path of box.querySelectorAll("path")) path.setAttribute("d", drawing.outlines[path.dataset.of][place]);
  };
  slider.addEventListener("input", show);
  box.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5 }[event.key];
    if (!step || event.target.matches("input, select")) return;
    event.preventDefault();
    slider.value = Number(slider.value) + step;
    show();
  });
  box.querySelector(".panels").addEventListener("wheel", (event) => {
    if (!event.ctrlKey && event.shiftKey) {
      event.preventDefault();
      slider.value = Number(slider.value) + Math.sign(event.deltaY || event.deltaX);
      show();
    }
  }, { passive: false });
  show();
}

window.addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
document.documentElement.dataset.ready = "yes";
