"use strict";
// What the page holds. All names are text and are only ever shown as text.

const data = JSON.parse(document.getElementById("data").textContent);
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const count = data.count;
const xy = new Float32Array(bytes(data.xy).buffer); // x, y in 0..1, y upwards
const groupOf = new Uint16Array(bytes(data.group_of).buffer);
const folderOf = new Uint32Array(bytes(data.folder_of).buffer);
const sizes = bytes(data.sizes); // width, height in px of each point's picture; 0 where it has none
const pathOf = (i) => data.folders[folderOf[i]] + data.names[i];
const hasPicture = (i) => i < data.pictures;
const shownGroups = data.groups.map(() => true);
const isShown = (i) => shownGroups[groupOf[i]];

// -- pictures: small JPEGs in sheets, unpacked when they are needed, the last few kept ---------------------------

const MOST_SHEETS = 32;
const sheets = new Map();

/** The sheet of a picture, or null while it is not there; `arrived` is called when it is. */
function sheetOf(i, arrived) {
  const number = Math.floor(i / data.per_sheet);
  const known = sheets.get(number);
  if (known) {
    sheets.delete(number); // to the end: the last that would be dropped
    sheets.set(number, known);
    return known.ready ? known.image : null;
  }
  const source = document.getElementById(`sheet-${number}`);
  if (!source) return null; // the file is still being read
  const entry = { image: new Image(), ready: false };
  entry.image.src = `data:image/jpeg;base64,${source.textContent}`;
  entry.image.decode().then(() => { entry.ready = true; arrived(); }, () => {});
  sheets.set(number, entry);
  if (sheets.size > MOST_SHEETS) sheets.delete(sheets.keys().next().value);
  return null;
}

/** Draws a picture into a box of this many px about x, y; says whether it could. */
function drawPicture(pen, i, x, y, side, arrived) {
  const image = hasPicture(i) ? sheetOf(i, arrived) : null;
  if (!image) return false;
  const cell = i % data.per_sheet, columns = Math.floor(data.sheet_px / data.cell_px);
  const w = sizes[2 * i], h = sizes[2 * i + 1], scale = side / Math.max(w, h);
  const left = (cell % columns) * data.cell_px, top = Math.floor(cell / columns) * data.cell_px;
  pen.drawImage(image, left, top, w, h, x - (w * scale) / 2, y - (h * scale) / 2, w * scale, h * scale);
  return true;
}

// -- which point is where -----------------------------------------------------------------------------------------

const CELLS = Math.max(1, Math.min(512, Math.ceil(Math.sqrt(count))));
const cellOf = (v) => Math.max(0, Math.min(CELLS - 1, Math.floor(v * CELLS)));
const cellStart = new Uint32Array(CELLS * CELLS + 1);
const inCells = new Uint32Array(count);
{
  const own = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    own[i] = cellOf(xy[2 * i + 1]) * CELLS + cellOf(xy[2 * i]);
    cellStart[own[i] + 1]++;
  }
  for (let c = 0; c < CELLS * CELLS; c++) cellStart[c + 1] += cellStart[c];
  const next = cellStart.slice();
  for (let i = 0; i < count; i++) inCells[next[own[i]]++] = i;
}

/** Calls `visit` with every shown point whose cell touches the box. */
function within(x0, y0, x1, y1, visit) {
  for (let row = cellOf(y0); row <= cellOf(y1); row++) {
    const start = cellStart[row * CELLS + cellOf(x0)], end = cellStart[row * CELLS + cellOf(x1) + 1];
    for (let at = start; at < end; at++) if (isShown(inCells[at])) visit(inCells[at]);
  }
}

/** The shown point nearest to a place, within a radius; -1 where there is none. */
function nearest(x, y, radius) {
  let best = -1, least = radius * radius;
  within(x - radius, y - radius, x + radius, y + radius, (i) => {
    const away = (xy[2 * i] - x) ** 2 + (xy[2 * i + 1] - y) ** 2;
    if (away <= least) { least = away; best = i; }
  });
  return best;
}
