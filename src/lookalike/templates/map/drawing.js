// -- the camera: which part of the map is seen --------------------------------------------------------------------

const dotsCanvas = document.getElementById("dots"), canvas = document.getElementById("map");
const pen = canvas.getContext("2d");
const camera = { x: 0.5, y: 0.5, scale: 1 }; // scale in px per unit of the map
const MOST_CLOSER = 400, PANEL_PX = 292, EDGE_PX = 36, NARROW_PX = 640;
let width = 1, height = 1, ratio = 1, wholeScale = 1;

const toX = (x) => (x - camera.x) * camera.scale + width / 2;
const toY = (y) => (camera.y - y) * camera.scale + height / 2;
const fromX = (px) => (px - width / 2) / camera.scale + camera.x;
const fromY = (py) => camera.y - (py - height / 2) / camera.scale;

/** The camera that shows the whole map beside the panel. */
function wholeView() {
  const left = width > NARROW_PX ? PANEL_PX : 0;
  const scale = Math.max(50, Math.min(width - left, height) - 2 * EDGE_PX);
  return { x: 0.5 - left / 2 / scale, y: 0.5, scale };
}

function zoom(factor, px = width / 2, py = height / 2) {
  const x = fromX(px), y = fromY(py);
  camera.scale = Math.max(wholeScale / 2, Math.min(wholeScale * MOST_CLOSER, camera.scale * factor));
  camera.x = x - (px - width / 2) / camera.scale;
  camera.y = y + (py - height / 2) / camera.scale;
  redraw();
}

let flight = 0;
/** Moves the camera to another view, at once where less motion is wished for. */
function fly(to) {
  const from = { ...camera }, started = performance.now(), own = ++flight;
  const takes = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 320;
  const step = (now) => {
    if (own !== flight) return;
    const t = takes ? Math.min(1, Math.max(0, (now - started) / takes)) : 1, ease = 1 - (1 - t) ** 3;
    camera.scale = from.scale * (to.scale / from.scale) ** ease;
    camera.x = from.x + (to.x - from.x) * ease;
    camera.y = from.y + (to.y - from.y) * ease;
    redraw();
    if (t < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

// -- dots: by WebGL where there is one, else by the plain canvas --------------------------------------------------

const VERTEX = `#version 300 es
in vec2 place; in vec4 colour; uniform vec4 view; uniform vec2 half_px; uniform float side; out vec4 tone;
void main() {
  tone = colour;
  gl_PointSize = side;
  gl_Position = colour.a > 0.0 ? vec4((place - view.xy) * view.z / half_px, 0.0, 1.0) : vec4(2.0, 2.0, 0.0, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision highp float; in vec4 tone; uniform float side; out vec4 result;
void main() {
  float inside = side * (0.5 - length(gl_PointCoord - 0.5));
  result = vec4(tone.rgb, 1.0) * tone.a * clamp(inside, 0.0, 1.0);
}`;
const colours = new Uint8Array(4 * count);
const rgb = data.groups.map((g) => [1, 3, 5].map((at) => parseInt(g.colour.slice(at, at + 2), 16)));
let lit = null; // 1 for every point that a search has found; null while there is no search

function fillColours() {
  for (let i = 0; i < count; i++) {
    colours.set(rgb[groupOf[i]], 4 * i);
    colours[4 * i + 3] = !isShown(i) ? 0 : lit && !lit[i] ? 36 : 225;
  }
}

/** Draws by WebGL; null where it cannot. */
function webglDots() {
  if (location.hash === "#plain") return null;
  const gl = dotsCanvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  const attribute = (name, values, size, kind, normal) => {
    const at = gl.getAttribLocation(program, name), buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, kind, normal, 0, 0);
  };
  attribute("place", xy, 2, gl.FLOAT, false);
  attribute("colour", colours, 4, gl.UNSIGNED_BYTE, true); // stays bound: recolour() fills it
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const view = uniform("view"), half = uniform("half_px"), side = uniform("side");
  return {
    canvas: dotsCanvas,
    recolour() { gl.bufferSubData(gl.ARRAY_BUFFER, 0, colours); },
    draw(radius) {
      gl.viewport(0, 0, dotsCanvas.width, dotsCanvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform4f(view, camera.x, camera.y, camera.scale, 0);
      gl.uniform2f(half, width / 2, height / 2);
      gl.uniform1f(side, 2 * radius * ratio);
      gl.drawArrays(gl.POINTS, 0, count);
    },
  };
}

/** Draws by the plain canvas: squares, which are much quicker than discs, while dots are small. */
function plainDots(target) {
  const flat = target.getContext("2d"), SQUARES_BELOW = 3;
  return {
    canvas: target,
    recolour() {},
    draw(radius) {
      flat.setTransform(ratio, 0, 0, ratio, 0, 0);
      flat.clearRect(0, 0, width, height);
      const tones = new Map(); // group and opacity -> places
      for (let i = 0; i < count; i++) {
        const alpha = colours[4 * i + 3], x = toX(xy[2 * i]), y = toY(xy[2 * i + 1]);
        if (!alpha || x < -radius || y < -radius || x > width + radius || y > height + radius) continue;
        const tone = groupOf[i] * 256 + alpha;
        if (!tones.has(tone)) tones.set(tone, []);
        tones.get(tone).push(x, y);
      }
      for (const [tone, places] of tones) {
        flat.fillStyle = `rgb(${rgb[tone >> 8].join(" ")} / ${(tone & 255) / 255})`;
        for (let at = 0; at < places.length; at += 2) {
          if (radius < SQUARES_BELOW) flat.fillRect(places[at] - radius, places[at + 1] - radius, 2 * radius, 2 * radius);
          else { flat.beginPath(); flat.arc(places[at], places[at + 1], radius, 0, 2 * Math.PI); flat.fill(); }
        }
      }
    },
  };
}

let painter = null;
function choosePainter() {
  fillColours();
  painter = webglDots() ?? withoutWebgl();
  dotsCanvas.addEventListener("webglcontextlost", () => { painter = withoutWebgl(); resize(); });
}

function withoutWebgl() {
  const fresh = dotsCanvas.cloneNode(); // a canvas that was meant for WebGL does nothing else
  dotsCanvas.after(fresh);
  dotsCanvas.hidden = true;
  return plainDots(fresh);
}

function recolour() {
  fillColours();
  painter.recolour();
  placedAt.clear();
  redraw();
}

const dotRadius = () => {
  const whole = Math.max(1.7, Math.min(5.5, 0.17 * wholeScale / Math.sqrt(count)));
  return Math.min(7.5, whole * Math.max(1, camera.scale / wholeScale) ** 0.35);
};

// -- pictures on the map: as many as fit side by side, always the same ones at the same distance ------------------

const PICTURE_PX = 46, ENOUGH = 0.3, REACH_PX = 14;
const placedAt = new Map(); // level -> rows of points whose pictures do not overlap
let wanted = null; // true or false once somebody has chosen; else they come by themselves

function placed(level) {
  if (placedAt.has(level)) return placedAt.get(level);
  const side = PICTURE_PX / 2 ** (level / 2), taken = new Map(), rows = [];
  for (let i = 0; i < data.pictures; i++) {
    if (!isShown(i)) continue;
    const x = xy[2 * i], y = xy[2 * i + 1], column = Math.floor(x / side), row = Math.floor(y / side);
    let free = true;
    for (let a = column - 1; free && a <= column + 1; a++) {
      for (let b = row - 1; free && b <= row + 1; b++) {
        const other = taken.get(a * 1048576 + b);
        if (other !== undefined) free = Math.abs(xy[2 * other] - x) >= side || Math.abs(xy[2 * other + 1] - y) >= side;
      }
    }
    if (free) { taken.set(column * 1048576 + row, i); rows.push(i); }
  }
  placedAt.set(level, rows);
  return rows;
}

const levelNow = () => Math.floor(2 * Math.log2(camera.scale));
const picturesShown = () => wanted ?? (data.pictures > 0 && placed(levelNow()).length >= ENOUGH * data.pictures);

const pictureSide = () => ((PICTURE_PX - 6) * camera.scale) / 2 ** (levelNow() / 2);
let drawn = []; // rows of the pictures in the last frame

function drawPictures() {
  const side = pictureSide();
  drawn = placed(levelNow()).filter((i) => {
    const x = toX(xy[2 * i]), y = toY(xy[2 * i + 1]);
    return x > -side && y > -side && x < width + side && y < height + side && !(lit && !lit[i]);
  });
  for (const i of drawn) {
    const x = toX(xy[2 * i]), y = toY(xy[2 * i + 1]), long = Math.max(sizes[2 * i], sizes[2 * i + 1]);
    const w = (side * sizes[2 * i]) / long, h = (side * sizes[2 * i + 1]) / long;
    const edge = i === pinned || i === pointed ? 4 : 2;
    pen.fillStyle = i === pinned ? theme.accent : i === pointed ? theme.text : data.groups[groupOf[i]].colour;
    pen.fillRect(x - w / 2 - edge, y - h / 2 - edge, w + 2 * edge, h + 2 * edge);
    drawPicture(pen, i, x, y, side, redraw);
  }
}

/** The point at a place on the screen: the picture that lies there, else the nearest dot in reach; -1 for none. */
function pointAt(px, py) {
  const half = pictureSide() / 2;
  const over = drawn.find((i) => Math.abs(toX(xy[2 * i]) - px) <= half && Math.abs(toY(xy[2 * i + 1]) - py) <= half);
  return over ?? nearest(fromX(px), fromY(py), REACH_PX / camera.scale);
}

// -- names of groups, where most of each lies ---------------------------------------------------------------------

const MOST_NAMES = 60, PARTS = 20;
const anchors = data.named && data.groups.length > 1 ? data.groups.slice(0, MOST_NAMES).map((_, g) => anchorOf(g)) : [];

function anchorOf(group) {
  const cells = new Map();
  for (let i = 0; i < count; i++) {
    if (groupOf[i] !== group) continue;
    const key = Math.floor(xy[2 * i] * PARTS) * 100 + Math.floor(xy[2 * i + 1] * PARTS);
    const cell = cells.get(key) ?? [0, 0, 0];
    cells.set(key, [cell[0] + 1, cell[1] + xy[2 * i], cell[2] + xy[2 * i + 1]]);
  }
  const around = (key) => {
    const sum = [0, 0, 0];
    for (const a of [-100, 0, 100]) for (const b of [-1, 0, 1]) {
      const cell = cells.get(key + a + b);
      if (cell) for (const at of [0, 1, 2]) sum[at] += cell[at];
    }
    return sum;
  };
  const best = [...cells.keys()].map(around).reduce((a, b) => (b[0] > a[0] ? b : a), [0, 0, 0]);
  return best[0] ? [best[1] / best[0], best[2] / best[0]] : null;
}

function drawNames() {
  pen.font = "600 13px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  const boxes = [];
  anchors.forEach((anchor, group) => {
    if (!anchor || !shownGroups[group] || data.groups[group].rest) return;
    const full = data.groups[group].name, name = full.length > 28 ? `${full.slice(0, 27)}…` : full;
    const x = toX(anchor[0]), y = toY(anchor[1]), half = pen.measureText(name).width / 2 + 4;
    if (boxes.some(([left, right, middle]) => x + half > left && x - half < right && Math.abs(y - middle) < 18)) return;
    boxes.push([x - half, x + half, y]);
    pen.strokeStyle = theme.halo;
    pen.lineWidth = 4;
    pen.strokeText(name, x, y);
    pen.fillStyle = theme.text;
    pen.fillText(name, x, y);
  });
}

// -- one frame ----------------------------------------------------------------------------------------------------

const theme = {};
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["halo", "text", "accent"]) theme[name] = style.getPropertyValue(`--${name}`).trim();
  redraw();
}

let pointed = -1, pinned = -1, asked = false;
function redraw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; frame(); });
}

function ring(i, colour, line) {
  pen.beginPath();
  pen.arc(toX(xy[2 * i]), toY(xy[2 * i + 1]), dotRadius() + 3, 0, 2 * Math.PI);
  pen.strokeStyle = colour;
  pen.lineWidth = line;
  pen.stroke();
}

function frame() {
  painter.draw(dotRadius());
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const pictures = picturesShown();
  document.getElementById("pictures").setAttribute("aria-pressed", pictures);
  drawn = [];
  if (pictures) drawPictures();
  drawNames();
  if (pointed >= 0 && !drawn.includes(pointed)) ring(pointed, theme.text, 1.5);
  if (pinned >= 0 && !drawn.includes(pinned)) ring(pinned, theme.accent, 2.5);
}

function resize() {
  const wasWhole = Math.abs(camera.scale - wholeScale) < 1e-6 || wholeScale === 1;
  [width, height, ratio] = [innerWidth, innerHeight, Math.min(2, devicePixelRatio || 1)];
  for (const one of [canvas, painter.canvas]) {
    [one.width, one.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  }
  wholeScale = wholeView().scale;
  if (wasWhole) Object.assign(camera, wholeView());
  redraw();
}
