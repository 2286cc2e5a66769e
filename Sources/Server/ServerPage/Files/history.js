// What was drawn, kept in this browser over reloads: the newest drawings, each with its pictures as the server sent them.

const limit = 200;

/** The drawings of the last visits. Where the browser keeps nothing, as in some private windows, they live as long as the page. */
export class History {
  #database = null;
  /** Whether what is added stays over a reload. */
  get isKept() { return this.#database !== null; }

  /** Opens what there is. */
  static async open() {
    const history = new History();
    try {
      const opening = indexedDB.open("dalle", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("drawings", { keyPath: "id", autoIncrement: true });
      history.#database = await result(opening);
      // Another window with a newer page may change the form of what is kept.
      history.#database.onversionchange = () => history.#forget();
      history.#database.onclose = () => history.#forget();
    } catch { /* It is not kept. */ }
    return history;
  }

  #forget() {
    this.#database?.close();
    this.#database = null;
  }

  /** All of them, the newest first. */
  async all() {
    if (!this.#database) return [];
    try {
      return (await result(this.#drawings("readonly").getAll())).reverse();
    } catch {
      // It is damaged, or the browser has closed it.
      this.#forget();
      return [];
    }
  }

  /**
   * Keeps a drawing, which gets its `id`, and forgets the oldest ones beyond the limit.
   * @returns the ids of those that are forgotten.
   */
  async add(drawing) {
    if (!this.#database) return [];
    try {
      const drawings = this.#drawings("readwrite");
      drawing.id = await result(drawings.add(drawing));
      const ids = await result(drawings.getAllKeys());
      const old = ids.slice(0, Math.max(0, ids.length - limit));
      for (const id of old) await result(drawings.delete(id));
      return old;
    } catch {
      // The disk is full, or the browser wants the room: what was kept before stays, this one does not.
      this.#forget();
      return [];
    }
  }

  async delete(id) { if (this.#database && id !== undefined) await result(this.#drawings("readwrite").delete(id)); }

  async clear() { if (this.#database) await result(this.#drawings("readwrite").clear()); }

  #drawings(mode) { return this.#database.transaction("drawings", mode).objectStore("drawings"); }
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
