// How a drawing is shown: while it comes into being, and afterwards.

/** The page's own copy of a template, and its parts by name. */
function copy(template) {
  const root = document.getElementById(template).content.firstElementChild.cloneNode(true);
  const parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  return { root, parts };
}

/** The letters and digits of a caption, joined by hyphens, as many as a file's name has room for. */
export function fileName(caption) {
  const words = caption.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? ["picture"];
  let name = "";
  for (const character of words.join("-")) {
    if (new TextEncoder().encode(name + character).length > 120) break;
    name += character;
  }
  return name;
}

/** The bytes of base 64. */
export function bytes(base64) { return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)); }

/** How a drawing came about, in a line. */
function description({ settings, seed, beginning, model, seconds }, standard) {
  const words = [`seed ${seed}`, `guidance ${settings.guidance}`, `temperature ${settings.temperature}`];
  if (settings.candidates) words.push(`best of ${settings.candidates}`);
  if (settings.top_k !== standard.top_k) words.push(`top-k ${settings.top_k}`);
  if (settings.top_p !== standard.top_p) words.push(`top-p ${settings.top_p}`);
  if (settings.literal) words.push("taken literally");
  if (settings.size !== "auto") words.push(settings.size.replace("x", "×"));
  if (beginning) words.push(`${beginning.rows} rows of ${beginning.name}`);
  words.push(`model ${model}`, `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`);
  return words.join(" · ");
}

/** A drawing on the page. */
export class Card {
  #addresses = [];
  #images = [];

  /**
   * @param caption what is drawn.
   * @param count how many pictures there will be.
   * @param side of a picture in pixels.
   */
  constructor(caption, count, side) {
    const { root, parts } = copy("drawing-template");
    Object.assign(this, { root, parts });
    this.title = caption || "Variations of a picture";
    parts.caption.textContent = this.title;
    root.setAttribute("aria-label", this.#name);
    parts.actions.hidden = true;
    root.classList.add("is-under-way");
    for (let number = 0; number < count; number += 1) this.#addImage(side, number);
  }

  /** What tells it from others to whoever hears it: a caption may be as long as a page. */
  get #name() {
    const characters = [...this.title];
    return characters.length > 80 ? `${characters.slice(0, 80).join("")}…` : this.title;
  }

  /** A drawing that is complete. */
  static of(drawing, standard, act) {
    const card = new Card(drawing.settings.prompt, drawing.pictures.length, drawing.side);
    card.complete(drawing, standard, act);
    return card;
  }

  #addImage(side, number) {
    const { root, parts } = copy("picture-template");
    const image = root.querySelector("img");
    [image.width, image.height] = [side, side];
    root.querySelector("figcaption").hidden = true;
    this.parts.pictures.append(root);
    this.#images.push({ root, image, parts });
  }

  /** Shows as much of a picture as there is. */
  show(index, base64) {
    this.#setSource(index, `data:image/png;base64,${base64}`);
  }

  #setSource(index, address) {
    const image = this.#images[index]?.image;
    if (!image) return;
    image.src = address;
    // Not before: browsers draw the sign of a broken picture beside the words for a picture that is yet to come.
    image.alt = `${this.title}, picture ${index + 1}`;
  }

  /** Takes the others out: those that were not finished when the drawing was called off. */
  keepOnly(indices) {
    for (const [index, { root }] of this.#images.entries()) if (!indices.includes(index)) root.remove();
    this.#images = indices.map((index) => this.#images[index]);
  }

  /** @param act is told which of the buttons was pressed, and the picture's place where it was one of its own. */
  complete(drawing, standard, act) {
    const { root, parts } = this;
    root.classList.remove("is-under-way");
    const date = new Date(drawing.created);
    parts.time.dateTime = date.toISOString();
    parts.time.textContent = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    parts.settings.textContent = description(drawing, standard);
    for (const note of drawing.notes) {
      const line = document.createElement("p");
      line.className = "note";
      line.textContent = note;
      parts.notes.append(line);
    }
    for (const [place, { root: figure, parts: own }] of this.#images.entries()) {
      const picture = drawing.pictures[place];
      const address = URL.createObjectURL(picture.blob);
      this.#addresses.push(address);
      this.#setSource(place, address);
      own.download.href = address;
      own.download.download = `${fileName(this.title)}-${drawing.seed}-${picture.number}.png`;
      own.download.setAttribute("aria-label", `Download picture ${place + 1}: ${this.#name}`);
      figure.querySelector("figcaption").hidden = false;
      figure.querySelector("[data-action]").setAttribute("aria-label", `Begin with it: picture ${place + 1}: ${this.#name}`);
      figure.querySelector("[data-action]").addEventListener("click", () => act("begin", place));
    }
    parts.actions.hidden = false;
    for (const button of parts.actions.children) {
      button.setAttribute("aria-label", `${button.textContent}: ${this.#name}`);
      button.addEventListener("click", () => act(button.dataset.action));
    }
  }

  remove() {
    this.root.remove();
    for (const address of this.#addresses) URL.revokeObjectURL(address);
  }
}
