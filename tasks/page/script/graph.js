// What an asset was made from, back to the files that people named: a column for each step, drawn left to right.
const data = JSON.parse(byId("graph-data").textContent);
const undrawn = new Set(data.undrawn);
const sha256Of = (file) => [...atob(data.files[file])]
  .map((sign) => sign.charCodeAt(0).toString(16).padStart(2, "0")).join("");
const stages = data.stages.map(([brief, stage, model, outcome, inputs, assets]) => (
  { brief, stage, model: data.models[model], outcome, inputs: named(inputs), assets:
    assets.map(([name, file]) => [`assets/${brief}/${name}`, file]) }
));

// As prompts call them.
function named(inputs) {
  let references = 0;
  return inputs.map(([role, file, source]) => (
    [["picture", `@Image${role === 1 ? ++references : ""}`, "clip"][role], source, file]
  ));
}
const NODE = { width: 178, height: 136, gap: 14, between: 152 };
const SVG = "http://www.w3.org/2000/svg";

function draw(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const makersIn = (brief) => stages.filter((stage) => stage.brief === brief);
// A picture's maker within its own brief: equal bytes may have been made for another one as well.
const makerOf = (file, brief, before) => makersIn(brief).find(
  (stage) => stage !== before && stage.assets.some(([, made]) => made === file),
);

const placeOf = (maker, file) => maker?.assets.find(([, made]) => made === file)?.[0] ?? "";

// All that led to the asset: files with their column, counted back from it, and the stages between them.
function ancestry(maker, place, file) {
  const files = [{ file, name: place, column: 0, maker }];
  const works = [];
  const known = new Map([[file, files[0]]]);
  const queue = [files[0]];
  while (queue.length) {
    const node = queue.shift();
    if (!node.maker) continue;
    let work = works.find((other) => other.stage === node.maker);
    if (!work) {
      work = { stage: node.maker, to: [], from: [] };
      works.push(work);
      for (const [role, source, input] of node.maker.inputs) {
        let found = known.get(input);
        if (!found) {
          const earlier = makerOf(input, node.maker.brief, node.maker);
          found = { file: input, name: source ?? placeOf(earlier, input), role, column: node.column + 1, maker: earlier };
          known.set(input, found);
          files.push(found);
          queue.push(found);
        }
        found.column = Math.max(found.column, node.column + 1);
        work.from.push(found);
      }
    }
    work.to.push(node);
  }
  return { files, works };
}

const numbered = (number, name) => `${number} ${name}${number === 1 ? "" : "s"}`;

function drawGraph({ files, works }, chosen) {
  const columns = Math.max(...files.map((node) => node.column)) + 1;
  const byColumn = Array.from({ length: columns }, (_, column) => files.filter((node) => node.column === column));
  const tallest = Math.max(...byColumn.map((nodes) => nodes.length));
  const height = tallest * (NODE.height + NODE.gap) + NODE.gap;
  const width = columns * NODE.width + (columns - 1) * NODE.between + 2 * NODE.gap;
  const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
    `${chosen}: made from ${numbered(files.length - 1, "file")} in ${numbered(works.length, "step")}; the table below names them` });
  byColumn.forEach((nodes, column) => {
    const top = (height - nodes.length * (NODE.height + NODE.gap) + NODE.gap) / 2;
    nodes.forEach((node, row) => {
      node.x = NODE.gap + (columns - 1 - column) * (NODE.width + NODE.between);
      node.y = top + row * (NODE.height + NODE.gap);
    });
  });
  for (const { stage, to, from } of works) {
    const box = { x: to[0].x - NODE.between / 2 - 52, y: to[0].y + NODE.height / 2 - 24 };
    for (const node of from) {
      const [x, y] = [node.x + NODE.width, node.y + NODE.height / 2];
      svg.append(draw("path", { d: `M${x} ${y} C${x + 30} ${y} ${box.x - 30} ${box.y + 24} ${box.x} ${box.y + 24}` }));
    }
    svg.append(draw("path", { d: `M${box.x + 104} ${box.y + 24} L${to[0].x} ${box.y + 24}` }));
    svg.append(draw("g", { class: `work is-${stage.stage}` },
      draw("rect", { x: box.x, y: box.y, width: 104, height: 48, rx: 10 }),
      draw("text", { x: box.x + 52, y: box.y + 21, "text-anchor": "middle" }, stage.stage),
      draw("text", { x: box.x + 52, y: box.y + 37, "text-anchor": "middle" }, stage.outcome)));
  }
  for (const node of files) svg.append(drawFile(node));
  return svg;
}

function drawFile(node) {
  const sha256 = sha256Of(node.file);
  const small = undrawn.has(node.file) ? null : `page/${sha256.slice(0, 20)}.webp`;
  const shape = draw("g", { class: node.column === 0 ? "node chosen" : "node" },
    draw("rect", { x: node.x, y: node.y, width: NODE.width, height: NODE.height, rx: 8 }));
  if (small) {
    shape.append(draw("image", { href: small, x: node.x + 6, y: node.y + 6, width: NODE.width - 12, height: 84 }));
  }
  shape.append(
    draw("text", { class: "name", x: node.x + 8, y: node.y + 108 }),
    draw("text", { class: "hash", x: node.x + 8, y: node.y + 125 }, sha256.slice(0, 20)),
    draw("title", {}, `${node.name}\n${sha256}`),
  );
  return shape;
}

// What it is called, from long to short: the end of its path tells most, its ending included.
function* labelsOf({ role, name }) {
  const before = role ? `${role} ` : "";
  const parts = name.split("/");
  yield before + parts.slice(-2).join("/");
  const last = [...parts.at(-1)];
  yield before + last.join("");
  for (let from = 1; from < last.length; from += 1) yield `${before}…${last.slice(from).join("")}`;
}

// Only what stands in the page has a measure.
function writeLabels(svg, files) {
  svg.querySelectorAll(".node .name").forEach((text, place) => {
    for (const label of labelsOf(files[place])) {
      text.textContent = label;
      if (text.getComputedTextLength() <= NODE.width - 16) break;
    }
  });
}

// It stands in the brief's own table already.
function predictionOf({ brief, stage }) {
  const table = byId(`brief=${brief}`).querySelector(".numbers");
  const row = [...table.rows].find((other) => other.cells[0].textContent.trim() === "prediction");
  const column = [...table.rows[0].cells].findIndex((cell) => cell.textContent.trim() === stage);
  return row.cells[column].textContent.trim();
}

function listFiles({ files }) {
  byId("graph-list").tBodies[0].replaceChildren(...files.map((node) => {
    const { maker } = node;
    const made = maker ? `${maker.stage}, ${maker.model}, ${maker.outcome}` : "given";
    return element("tr", {},
      element("td", { textContent: (node.role ? `${node.role}: ` : "") + node.name }),
      element("td", { textContent: made }),
      element("td", { textContent: maker ? predictionOf(maker) : "" }),
      element("td", {}, element("code", { textContent: sha256Of(node.file) })));
  }));
}

function chooseAsset() {
  const [number, place] = byId("graph-asset").value.split(" ").map(Number);
  const maker = stages[number];
  if (!maker) return;
  const [name, file] = maker.assets[place];
  const found = ancestry(maker, name, file);
  const drawn = drawGraph(found, name);
  byId("graph").replaceChildren(drawn);
  writeLabels(drawn, found.files);
  listFiles(found);
}

function chooseBrief(last) {
  const options = [];
  stages.forEach((stage, number) => {
    if (stage.brief !== byId("graph-brief").value) return;
    stage.assets.forEach(([place], index) => options.push(
      element("option", { value: `${number} ${index}`, textContent: place.split("/").pop() }),
    ));
  });
  byId("graph-asset").replaceChildren(...options);
  if (last && options.length) options[options.length - 1].selected = true;
  chooseAsset();
}

// Show where the asset at this place comes from, and lead there.
function showGraph(place) {
  const number = stages.findIndex((stage) => stage.assets.some(([path]) => path === place));
  if (number < 0) return;
  byId("graph-brief").value = stages[number].brief;
  chooseBrief(false);
  byId("graph-asset").value = `${number} ${stages[number].assets.findIndex(([path]) => path === place)}`;
  chooseAsset();
  leadTo(byId("provenance"));
}

function startGraph() {
  const names = [...new Set(stages.filter((stage) => stage.assets.length).map((stage) => stage.brief))];
  if (!names.length) return;
  // The brief with most steps shows best what the graph is for.
  const steps = (name) => makersIn(name).length;
  const few = names.slice(0, 50);
  byId("graph-brief").append(...names.map((name) => element("option", { textContent: name })));
  byId("graph-brief").value = few.reduce((best, name) => (steps(name) > steps(best) ? name : best));
  byId("graph-brief").addEventListener("change", () => chooseBrief(true));
  byId("graph-asset").addEventListener("change", chooseAsset);
  byId("graph-tool").hidden = false;
  chooseBrief(true);
}

