// The picture that a drawing begins with, and the line that says how many of its rows are kept.

const element = (id) => document.getElementById(id);
const readable = ["image/png", "image/jpeg", "image/webp"];

/** The picture to begin with: chosen, dropped, pasted, or taken from what was drawn. */
export class Beginning {
  #picture = null;
  #rows = 0;
  #side = 2;
  #report;
  #frame = element("beginning-frame");
  #line = element("line");

  /** @param report is told in words why a file is not taken, and null when one is. */
  constructor(report) {
    this.#report = report;
    const file = element("file");
    element("choose").addEventListener("click", () => file.click());
    file.addEventListener("change", () => {
      if (file.files.length) this.#take(file.files);
      // So that the same file can be chosen again.
      file.value = "";
    });
    element("remove").addEventListener("click", () => {
      this.clear();
      element("choose").focus();
    });
    this.#acceptDrops();
    document.addEventListener("paste", (event) => {
      if (!event.clipboardData?.files.length) return;
      // Office programs put a picture of a text beside the text.
      const isText = event.target.matches?.("textarea, input") && event.clipboardData.types.includes("text/plain");
      if (isText) return;
      event.preventDefault();
      this.#take(event.clipboardData.files);
    });
    this.#moveLine();
  }

  /** `{ blob, name, rows }`, or null. */
  get value() { return this.#picture && { ...this.#picture, rows: this.#rows }; }

  /** Where the model has a grid of another size, the line stays where it is on the picture. */
  setSide(side) {
    const share = this.#picture ? this.#rows / this.#side : 0.5;
    this.#side = side;
    this.#setRows(Math.round(share * side));
  }

  /** Shows a picture of another shape as the model is given it: `crop` takes its middle, `pad` all of it. */
  setFit(fit) { element("beginning-picture").style.objectFit = fit === "crop" ? "cover" : "contain"; }

  /**
   * @param rows half of them where null.
   * @returns whether the browser can show it.
   */
  async set(blob, name, rows = null) {
    const image = element("beginning-picture");
    const address = URL.createObjectURL(blob);
    const isShown = await new Promise((resolve) => {
      image.onload = () => resolve(true);
      image.onerror = () => resolve(false);
      image.src = address;
    });
    URL.revokeObjectURL(address);
    if (!isShown) {
      this.clear();
      return false;
    }
    try {
      // Its bytes: a file that is changed or deleted later cannot be sent any more.
      blob = new Blob([await blob.arrayBuffer()], { type: blob.type });
    } catch {
      this.clear();
      return false;
    }
    this.#picture = { blob, name };
    image.alt = `The picture to begin with: ${name}`;
    this.#setRows(rows ?? Math.round(this.#side / 2));
    this.#show(true);
    return true;
  }

  clear() {
    this.#picture = null;
    element("beginning-picture").removeAttribute("src");
    this.#show(false);
  }

  #show(isThere) {
    element("beginning").hidden = !isThere;
    element("drop").hidden = isThere;
  }

  async #take(files) {
    const file = files[0];
    if (!readable.includes(file.type)) {
      this.#report(`Only PNG, JPEG and WebP can be begun with, and ${file.name} is ${file.type || "something else"}.`);
    } else if (await this.set(file, file.name)) {
      this.#report(null);
      this.#line.focus();
    } else {
      this.#report(`${file.name} is not a whole picture.`);
    }
  }

  #acceptDrops() {
    // Anywhere on the page: whoever misses the field would leave the page otherwise.
    const mark = (isDragging) => document.body.classList.toggle("is-dragging", isDragging);
    const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      mark(true);
    });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
    document.addEventListener("drop", (event) => {
      mark(false);
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (event.dataTransfer.files.length) this.#take(event.dataTransfer.files);
    });
  }

  #moveLine() {
    const follow = (event) => {
      const box = this.#frame.getBoundingClientRect();
      this.#setRows(Math.round(((event.clientY - box.top) / box.height) * this.#side));
    };
    this.#frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      this.#frame.setPointerCapture(event.pointerId);
      this.#line.focus();
      follow(event);
    });
    this.#frame.addEventListener("pointermove", (event) => {
      if (this.#frame.hasPointerCapture(event.pointerId)) follow(event);
    });
    this.#line.addEventListener("keydown", (event) => {
      // Down moves the line down, which keeps more.
      const rows = {
        ArrowDown: this.#rows + 1, ArrowRight: this.#rows + 1, ArrowUp: this.#rows - 1, ArrowLeft: this.#rows - 1,
        PageDown: this.#rows + 2, PageUp: this.#rows - 2, Home: 1, End: this.#side - 1,
      }[event.key];
      if (rows === undefined) return;
      event.preventDefault();
      this.#setRows(rows);
    });
  }

  /** At least one is kept, and one drawn. */
  #setRows(rows) {
    this.#rows = Math.max(1, Math.min(this.#side - 1, rows));
    const text = `The upper ${this.#rows} of ${this.#side} rows are kept.`;
    for (const [name, value] of [
      ["aria-valuemin", 1], ["aria-valuemax", this.#side - 1], ["aria-valuenow", this.#rows],
      ["aria-valuetext", `${this.#rows} of ${this.#side}`],
    ]) this.#line.setAttribute(name, value);
    element("kept").textContent = text;
    this.#frame.style.setProperty("--kept", this.#rows / this.#side);
  }
}
