// -- what is said of a picture ------------------------------------------------------------------------------------

const $ = (selector) => document.querySelector(selector);
const hover = $("#hover"), card = $("#card");

/** Draws a point's picture onto a canvas, at most `most` px; without one the canvas goes away. */
function fillCanvas(target, i, most, again) {
  target.hidden = !hasPicture(i);
  if (target.hidden) return;
  const long = Math.max(sizes[2 * i], sizes[2 * i + 1]), side = Math.min(most, Math.max(96, 1.75 * long));
  const w = (side * sizes[2 * i]) / long, h = (side * sizes[2 * i + 1]) / long;
  [target.width, target.height] = [w * ratio, h * ratio];
  [target.style.width, target.style.height] = [`${w}px`, `${h}px`];
  const ink = target.getContext("2d");
  ink.scale(ratio, ratio);
  ink.imageSmoothingQuality = "high";
  drawPicture(ink, i, w / 2, h / 2, side, again);
}

const groupName = (i) => (data.coloured_by ? `${data.coloured_by}: ${data.groups[groupOf[i]].name}` : "");

function point(i, px, py) {
  if (i !== pointed) {
    pointed = i;
    canvas.classList.toggle("near", i >= 0);
    redraw();
  }
  hover.hidden = i < 0 || i === pinned;
  if (hover.hidden) return;
  if (hover.dataset.shows !== String(i)) {
    hover.dataset.shows = i;
    hover.querySelector(".name").textContent = data.names[i];
    hover.querySelector(".group").textContent = groupName(i);
    const again = () => { if (pointed === i) fillCanvas(hover.querySelector("canvas"), i, 200, () => {}); };
    fillCanvas(hover.querySelector("canvas"), i, 200, again);
  }
  const box = hover.getBoundingClientRect(), gap = 16;
  const x = px + gap + box.width > width ? px - gap - box.width : px + gap;
  const y = Math.max(8, Math.min(height - box.height - 8, py - box.height / 2));
  hover.style.transform = `translate(${Math.max(8, x)}px, ${y}px)`;
}

function pin(i) {
  pinned = i;
  card.hidden = i < 0;
  hover.hidden = true;
  if (i >= 0) {
    if (width <= NARROW_PX) fold(true); // there is no room for both
    card.querySelector("h2").textContent = data.names[i];
    card.querySelector(".path").textContent = pathOf(i);
    card.querySelector(".detail").textContent = data.details[i];
    card.querySelector(".group").textContent = groupName(i);
    $("#copy").textContent = "Copy path";
    const again = () => { if (pinned === i) fillCanvas(card.querySelector("canvas"), i, 230, () => {}); };
    fillCanvas(card.querySelector("canvas"), i, 230, again);
  }
  redraw();
}

$("#close").addEventListener("click", () => pin(-1));
$("#copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(pathOf(pinned));
  } catch { // no clipboard for pages from a file: select it and copy as of old
    getSelection().selectAllChildren(card.querySelector(".path"));
    document.execCommand("copy");
  }
  $("#copy").textContent = "Copied";
});

// -- groups -------------------------------------------------------------------------------------------------------

const groupButtons = data.groups.length < 2 ? [] : data.groups.map((group, g) => {
  const item = document.createElement("li"), button = document.createElement("button");
  const swatch = document.createElement("i"), name = document.createElement("span"), total = document.createElement("span");
  swatch.style.background = group.colour;
  name.textContent = group.name;
  total.textContent = group.count.toLocaleString("en");
  button.type = "button";
  button.title = "Click to hide or show; with Shift only this one";
  button.append(swatch, name, total);
  button.addEventListener("click", (event) => {
    if (event.shiftKey) shownGroups.forEach((_, other) => { shownGroups[other] = other === g; });
    else shownGroups[g] = !shownGroups[g];
    showGroups();
  });
  item.append(button);
  $("#groups").append(item);
  return button;
});
$("#legend").hidden = groupButtons.length === 0;
$("#every").addEventListener("click", () => { shownGroups.fill(true); showGroups(); });

function showGroups() {
  groupButtons.forEach((button, g) => button.setAttribute("aria-pressed", shownGroups[g]));
  $("#every").hidden = shownGroups.every(Boolean);
  if (pinned >= 0 && !isShown(pinned)) pin(-1);
  point(-1);
  recolour();
}

// -- finding a name -----------------------------------------------------------------------------------------------

let hits = [], hit = -1;
$("#find").addEventListener("input", () => {
  const text = $("#find").value.trim().toLowerCase();
  hits = [];
  hit = -1;
  if (text) for (let i = 0; i < count; i++) if (data.names[i].toLowerCase().includes(text)) hits.push(i);
  lit = text ? new Uint8Array(count) : null;
  for (const i of hits) lit[i] = 1;
  const many = hits.length.toLocaleString("en");
  $("#found").textContent = !text ? "" : hits.length ? `${many} found, Enter goes from one to the next` : "no such name";
  recolour();
});
$("#find").addEventListener("keydown", (event) => {
  if (event.key === "Escape") { $("#find").value = ""; $("#find").dispatchEvent(new Event("input")); canvas.focus(); }
  if (event.key !== "Enter" || !hits.length) return;
  hit = (hit + (event.shiftKey ? hits.length - 1 : 1)) % hits.length;
  const i = hits[hit];
  $("#found").textContent = `${(hit + 1).toLocaleString("en")} of ${hits.length.toLocaleString("en")}`;
  if (!isShown(i)) { shownGroups[groupOf[i]] = true; showGroups(); }
  pin(i);
  fly({ x: xy[2 * i], y: xy[2 * i + 1], scale: Math.max(camera.scale, 4 * wholeScale) });
});

// -- mouse, fingers, keys -----------------------------------------------------------------------------------------

const fingers = new Map();
let moved = 0;

canvas.addEventListener("pointerdown", (event) => {
  flight++;
  canvas.setPointerCapture(event.pointerId);
  if (!fingers.size) moved = 0;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
});
canvas.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return point(pointAt(event.clientX, event.clientY), event.clientX, event.clientY);
  const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
  moved += Math.abs(dx) + Math.abs(dy);
  const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  if (other) { // two fingers: closer or farther about the one that rests, at half the way of each
    const far = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    zoom(far([event.clientX, event.clientY]) / Math.max(1, far(before)), other[0], other[1]);
  } else if (moved > 3) {
    canvas.classList.add("dragging");
    point(-1);
    camera.x -= dx / camera.scale;
    camera.y += dy / camera.scale;
    redraw();
  }
});
const lift = (event) => {
  if (!fingers.delete(event.pointerId)) return;
  canvas.classList.remove("dragging");
  if (event.type === "pointerup" && moved <= 3) pin(pointAt(event.clientX, event.clientY));
};
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);
canvas.addEventListener("pointerleave", () => point(-1));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  flight++;
  const lines = event.deltaMode === 1 ? 30 : 1, pinch = event.ctrlKey ? 6 : 1;
  zoom(Math.exp(-event.deltaY * lines * pinch * 0.0016), event.clientX, event.clientY);
}, { passive: false });
canvas.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));

const STEP_PX = 80;
const whole = () => fly(wholeView());
function togglePictures() { wanted = !picturesShown(); redraw(); }
const move = (dx, dy) => { camera.x += (dx * STEP_PX) / camera.scale; camera.y += (dy * STEP_PX) / camera.scale; redraw(); };
const KEYS = {
  ArrowLeft: () => move(-1, 0), ArrowRight: () => move(1, 0), ArrowUp: () => move(0, 1), ArrowDown: () => move(0, -1),
  "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: whole, p: togglePictures,
  "/": () => $("#find").focus(), Escape: () => pin(-1),
};
addEventListener("keydown", (event) => {
  if (event.target === $("#find") || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  flight++;
  KEYS[event.key]();
});
$("#closer").addEventListener("click", () => zoom(1.6));
$("#farther").addEventListener("click", () => zoom(1 / 1.6));
$("#whole").addEventListener("click", whole);
$("#pictures").addEventListener("click", togglePictures);
$("#pictures").hidden = data.pictures === 0;
$("#fold").addEventListener("click", () => fold(!$("#folding").hidden));
function fold(folded) {
  $("#folding").hidden = folded;
  $("#fold").setAttribute("aria-expanded", !folded);
  $("#fold").textContent = folded ? "+" : "–";
}

// -- start --------------------------------------------------------------------------------------------------------

choosePainter();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readTheme);
addEventListener("resize", resize);
groupButtons.forEach((button) => button.setAttribute("aria-pressed", true));
resize();
if (width <= NARROW_PX) fold(true);
readTheme();
