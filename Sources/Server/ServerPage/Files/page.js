// A page on which a person says what to draw, and sees it appear.

import { Beginning } from "./beginning.js";
import { bytes, Card } from "./drawings.js";
import { History } from "./history.js";
import * as server from "./interface.js";

const element = (id) => document.getElementById(id);
const exampleCaptions = [
  "a tapir made of accordion", "a red heart", "woman astronaut", "an orange cat", "a castle",
];
/** After so many full queues in a row it is for the person to try again. */
const mostTries = 8;
/** How many unfinished pictures are shown in all. Each costs about as much as four places of drawing: one picture appears place by
 * place, and several in larger steps, so that watching them takes no longer. */
const mostPartialImages = 64;
const notDeleted = "This browser does not let go of what it keeps. Close the other windows with this page, and reload it.";

const history = await History.open();
const beginning = new Beginning(showProblem);
let models = [];
/** What becomes of drawings in the history, until it has them. */
const beingAdded = new WeakMap();
/** What is under way to ask for them; null where nothing is. */
let loading = null;
/** Calls off what is being drawn or waited for. */
let underWay = null;
/** What "Try again" does. */
let retry = null;

// The form.

/** The fields that hold a number, by what the interface calls them. */
const numbers = {
  n: "count", seed: "seed", guidance: "guidance", temperature: "temperature", candidates: "candidates", top_k: "top-k",
  top_p: "top-p",
};
/** What the model draws with where nobody says otherwise; until the models are known, what the page came with. */
let standard = Object.fromEntries(
  ["guidance", "temperature", "top_k", "top_p"].map((name) => [name, element(numbers[name]).valueAsNumber]));

/**
 * What the form says, as the interface's fields; null for what is left to the server.
 * @param keptRows rows of the grid that are taken from a picture.
 */
function settings(keptRows) {
  const fields = { prompt: element("caption").value.trim(), model: element("model").value, size: element("size").value };
  for (const [name, id] of Object.entries(numbers)) {
    const value = element(id).valueAsNumber;
    fields[name] = Number.isNaN(value) || element(id).disabled ? null : value;
  }
  const model = models.find(({ id }) => id === fields.model);
  const places = model.grid_side * (model.grid_side - keptRows);
  fields.partial_images = Math.min(places, Math.max(4, Math.floor(mostPartialImages / fields.n)));
  fields.literal = element("literal").checked ? true : null;
  return fields;
}

/** Brings the form to what a drawing was made with. */
async function fill(drawing) {
  const { settings: fields } = drawing;
  element("caption").value = fields.prompt;
  if (models.some(({ id }) => id === fields.model)) {
    element("model").value = fields.model;
    showModel();
  }
  for (const [name, id] of Object.entries(numbers)) element(id).value = fields[name] ?? "";
  element("seed").value = drawing.seed;
  element("literal").checked = fields.literal === true;
  if ([...element("size").options].some(({ value }) => value === fields.size)) element("size").value = fields.size;
  if (drawing.beginning) {
    await beginning.set(drawing.beginning.blob, drawing.beginning.name, drawing.beginning.rows);
  } else {
    beginning.clear();
  }
}

/** What can be set depends on the model. */
function showModel() {
  const model = models.find(({ id }) => id === element("model").value);
  element("candidates").disabled = !model.has_ranker;
  element("candidates-hint").textContent =
    model.has_ranker ? "draw so many, keep the best" : "this model has no ranker";
  const { picture_size: side, grid_side: grid, codes_per_place: codes } = model;
  const chosen = element("size").value;
  const sizes = [1, 2, 4, 8, 16].map((factor) => side * factor).filter((size) => size <= 1024);
  element("size").replaceChildren(
    ...sizes.map((size) => new Option(`${size}×${size}`, size === side ? "auto" : `${size}x${size}`)));
  element("size").value = chosen;
  if (element("size").selectedIndex < 0) element("size").value = "auto";
  beginning.setSide(grid);
  beginning.setFit(model.fit);
  for (const [name, value] of Object.entries(model.sampling)) {
    const field = element(numbers[name]);
    // What somebody has changed stays as it is.
    if (field.valueAsNumber === standard[name]) field.value = value;
  }
  standard = model.sampling;
  element("model-facts").textContent =
    `Model ${model.id}: ${side}×${side} pixels, drawn as ${grid}×${grid} places of ${codes === 1 ? "one code" : `${codes} codes`}.`;
}

// Words.

/** @param text null where there is none. */
function showProblem(text, again = null) {
  retry = again;
  element("retry").hidden = !again;
  element("problem").hidden = text === null;
  element("problem-text").textContent = text ?? "";
  if (text !== null) element("problem").scrollIntoView({ block: "nearest" });
}

function showStatus(text) { element("status").textContent = text; }

/** @param share null where nothing is being drawn, undefined where nobody knows. */
function showProgress(share) {
  element("progress").hidden = share === null;
  if (share === undefined) element("progress").removeAttribute("value");
  else element("progress").value = share ?? 0;
}

/** What went wrong as a sentence, with a field's label in the place of what the interface calls it. */
function words({ message, field }) {
  const label = field && document.querySelector(`label[for="${numbers[field]}"]`)?.textContent;
  const text = label && message.startsWith(`${field} `) ? `“${label}”${message.slice(field.length)}` : message;
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** Waits, and says how long yet. It ends early, by an error, when it is called off. */
async function wait(seconds, words, signal) {
  showStatus(`${words} Trying again by itself`);
  try {
    for (let left = Math.ceil(seconds); left > 0; left -= 1) {
      // Beside the status, which is read aloud whenever it changes.
      element("countdown").textContent = ` in ${left} s.`;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 1000);
        signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
      });
      signal.throwIfAborted();
    }
  } finally {
    element("countdown").textContent = "";
  }
}

/** Asks for the key that the server wants. @returns whether one was given. */
async function askForKey() {
  const dialog = element("key-dialog");
  element("key").value = "";
  element("key-wrong").hidden = !server.hasKey();
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "use") return false;
  server.setKey(element("key").value.trim());
  return true;
}

/**
 * Does what needs the server, again where a key or patience is all that it takes.
 * @param action one try.
 */
async function insist(action, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await action();
    } catch (error) {
      if (error.status === 401 && await askForKey()) continue;
      if (![429, 503].includes(error.status) || tries === mostTries) throw error;
      await wait(error.retryAfter ?? 2, words(error), signal);
    }
  }
}

// Drawing.

/** @param fields and @param image what the form says, or what an earlier drawing was made with. */
async function draw(fields, image) {
  if (!models.length) return showProblem("The server has not said yet which models it has.", load);
  if (underWay) return showStatus("One at a time: wait for the drawing that is under way, or cancel it.");
  if (!fields.prompt && !image) {
    showProblem("There is no caption that says what to draw.");
    return element("caption").focus();
  }
  showProblem(null);
  underWay = new AbortController();
  const { signal } = underWay;
  const model = models.find(({ id }) => id === fields.model) ?? models[0];
  const side = fields.size === "auto" ? model.picture_size : Number.parseInt(fields.size, 10);
  const card = new Card(fields.prompt, fields.n, side);
  element("empty").hidden = true;
  element("drawings").prepend(card.root);
  setUnderWay(true);
  card.root.scrollIntoView({ block: "nearest" });
  const drawing = { created: Date.now(), settings: fields, beginning: image, side, notes: [], pictures: [] };
  let finished = [];
  try {
    await insist(() => follow(fields, image, card, drawing, finished, signal), signal);
    showStatus(`Drawn in ${drawing.seconds.toFixed(1)} s.`);
  } catch (error) {
    if (error.name === "AbortError") showStatus("Cancelled.");
    else {
      showStatus("");
      showProblem(words(error), () => draw(fields, image));
    }
  }
  setUnderWay(false);
  finished = [...finished.keys()].filter((index) => finished[index]);
  if (finished.length === 0) card.remove();
  else {
    card.keepOnly(finished);
    card.complete(drawing, standard, actions(drawing, card));
    const adding = history.add(drawing);
    beingAdded.set(drawing, adding);
    for (const id of await adding) forget(id);
  }
  showHistory();
}

/** One try: shows what comes, and puts what is finished into the drawing. */
async function follow(fields, image, card, drawing, finished, signal) {
  const began = performance.now();
  const places = new Array(fields.n).fill(0);
  // Of candidates only the first is seen, and what is kept of them comes at the end.
  const isCounted = fields.candidates === null;
  showStatus("Waiting for the server.");
  showProgress(isCounted ? 0 : undefined);
  for await (const event of server.draw(fields, image, signal)) {
    if (event.type === "queued") {
      showStatus(event.position > 0 ? `Waiting: number ${event.position} in the queue.` : "Drawing.");
    } else if (event.type === "partial_image") {
      if (!places.some(Boolean)) showStatus("Drawing.");
      card.show(event.index, event.b64_json);
      places[event.index] = (event.partial_image_index + 1) / fields.partial_images;
    } else if (event.type === "completed") {
      card.show(event.index, event.b64_json);
      places[event.index] = 1;
      finished[event.index] = { blob: new Blob([bytes(event.b64_json)], { type: "image/png" }), number: event.number };
      drawing.pictures = finished.filter(Boolean);
      drawing.notes = [...new Set([...drawing.notes, ...event.notes])];
      Object.assign(drawing, { seed: event.seed, model: event.model, seconds: (performance.now() - began) / 1000 });
    }
    if (isCounted) showProgress(places.reduce((sum, share) => sum + share, 0) / fields.n);
  }
  if (drawing.pictures.length < fields.n) {
    throw new server.Refusal("The server ended the connection before all pictures were finished.", 0);
  }
}

function setUnderWay(isUnderWay) {
  if (!isUnderWay) {
    underWay = null;
    showProgress(null);
    if (document.activeElement === element("cancel")) element("draw").focus();
  }
  element("cancel").hidden = !isUnderWay;
  element("draw").setAttribute("aria-disabled", String(isUnderWay));
}

// What was drawn.

const cards = new Map();

/** What the buttons of a drawing do. */
function actions(drawing, card) {
  cards.set(drawing, card);
  return async (action, place) => {
    if (action === "again") {
      draw({ ...drawing.settings, seed: drawing.seed }, drawing.beginning);
    } else if (action === "vary") {
      draw({ ...drawing.settings, seed: null }, drawing.beginning);
    } else if (action === "edit") {
      await fill(drawing);
      element("caption").focus();
    } else if (action === "begin") {
      await beginning.set(drawing.pictures[place].blob, `${card.title}, picture ${place + 1}`);
      element("line").focus();
    } else if (action === "delete") {
      const next = card.root.nextElementSibling ?? card.root.previousElementSibling;
      await beingAdded.get(drawing);
      if (!await history.delete(drawing.id)) return showProblem(notDeleted);
      drop(drawing);
      (next?.querySelector("[data-action=delete]") ?? element("drawings-title")).focus();
    }
  };
}

/** Takes a drawing from the page. */
function drop(drawing) {
  cards.get(drawing)?.remove();
  cards.delete(drawing);
  showHistory();
}

/** Takes from the page what the history keeps no longer. */
function forget(id) { for (const drawing of [...cards.keys()]) if (drawing.id === id) drop(drawing); }

function showHistory() {
  const isEmpty = element("drawings").childElementCount === 0;
  element("empty").hidden = !isEmpty && history.isKept;
  element("empty").textContent =
    [isEmpty && "Nothing is drawn yet.", !history.isKept && "This browser keeps no pictures over a reload, so save what you like."]
      .filter(Boolean).join(" ");
  element("clear").hidden = isEmpty;
}

// Begin.

/** While a character is being composed, keys belong to the input method. Safari says so of the last one by its code alone. */
function isComposing(event) { return event.isComposing || event.keyCode === 229; }

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  draw(models.length ? settings(beginning.value?.rows ?? 0) : {}, beginning.value);
});
element("caption").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || isComposing(event) || event.repeat) return;
  event.preventDefault();
  element("form").requestSubmit();
});
// A field that is wrong must be seen to be mended.
element("form").addEventListener("invalid", (event) => {
  if (element("more").contains(event.target)) element("more").open = true;
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !isComposing(event) && !document.querySelector("dialog[open]")) underWay?.abort();
});
element("cancel").addEventListener("click", () => underWay?.abort());
element("retry").addEventListener("click", () => {
  retry?.();
  // It goes with the problem, and whoever uses the keyboard would be nowhere.
  if (element("retry").hidden) element(underWay ? "cancel" : "draw").focus();
});
element("model").addEventListener("change", showModel);
element("clear").addEventListener("click", async () => {
  const dialog = element("clear-dialog");
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "clear") return;
  if (!await history.clear()) return showProblem(notDeleted);
  for (const drawing of [...cards.keys()]) drop(drawing);
  element("drawings-title").focus();
});
for (const caption of exampleCaptions) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = caption;
  button.addEventListener("click", () => {
    element("caption").value = caption;
    element("form").requestSubmit();
  });
  element("examples").append(button);
}

// Whatever is kept, or cannot be read, there can be drawn.
document.querySelector("main").setAttribute("aria-busy", "true");
const loaded = load();
for (const drawing of await history.all()) {
  try {
    const card = Card.of(drawing, standard, (...action) => act(...action));
    const act = actions(drawing, card);
    element("drawings").append(card.root);
  } catch { /* A page of another version has kept it, with other fields: it is not shown, and stays. */ }
}
showHistory();
document.querySelector("main").setAttribute("aria-busy", "false");
await loaded;

/** Asks which models there are, which also tells whether the server is there; one asking at a time. */
function load() {
  loading ??= askForModels().finally(() => { loading = null; });
  return loading;
}

async function askForModels() {
  showProblem(null);
  try {
    models = await insist(server.models, new AbortController().signal);
  } catch (error) {
    showStatus("");
    return showProblem(words(error), load);
  }
  showStatus("");
  if (!models.length) return showProblem("The server has no model that can draw.", load);
  // Somebody may have wanted to draw meanwhile.
  showProblem(null);
  element("model").replaceChildren(...models.map(({ id }) => new Option(id, id)));
  element("model").value = (models.find((model) => model.is_default) ?? models[0]).id;
  element("model-field").hidden = models.length < 2;
  showModel();
}
