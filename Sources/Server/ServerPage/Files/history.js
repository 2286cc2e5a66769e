// What was drawn, kept in this browser over reloads: the newest drawings, each with its pictures as the server sent them.

const limit = 200;

/** The drawings of the last visits. Where the browser keeps nothing, as in some private windows, they live as long as the page. */
export class History {
  #database = null;
  #wasOpened = false;
  /** Whether the last drawing found no room. */
  #isFull = false;

  /** Whether what is added stays over a reload. */
  get isKept() { return this.#database !== null && !this.#isFull; }

  /** Opens what there is. */
  static async open() {
    const history = new History();
    await history.#open();
    return history;
  }

  /** @returns whether there is a database, which another window may have had closed. */
  async #open() {
    if (this.#database) return true;
    try {
      const opening = indexedDB.open("dalle", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("drawings", { keyPath: "id", autoIncrement: true });
      this.#database = await result(opening);
      // Another window with a newer page may change the form of what is kept.
      this.#database.onversionchange = () => this.#forget();
      this.#database.onclose = () => this.#forget();
      this.#wasOpened = true;
      return true;
    } catch {
      // Nothing is kept.
      return false;
    }
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
      const isKept = committed(drawings.transaction);
      drawing.id = await result(drawings.add(drawing));
      const ids = await result(drawings.getAllKeys());
      const old = ids.slice(0, Math.max(0, ids.length - limit));
      for (const id of old) await result(drawings.delete(id));
      await isKept;
      this.#isFull = false;
      return old;
    } catch {
      // The disk is full, or the browser wants the room: what was kept before stays, and can be deleted; this one does not.
      this.#isFull = true;
      return [];
    }
  }

  /** @returns whether it is kept no longer. */
  async delete(id) { return id === undefined || this.#change((drawings) => drawings.delete(id)); }

  /** @returns whether nothing is kept any longer. */
  async clear() { return this.#change((drawings) => drawings.clear()); }

  async #change(action) {
    // Where there never was a database, there is nothing in it.
    if (!await this.#open()) return !this.#wasOpened;
    try {
      const drawings = this.#drawings("readwrite");
      const isDone = committed(drawings.transaction);
      await result(action(drawings));
      await isDone;
      this.#isFull = false;
      return true;
    } catch {
      return false;
    }
  }

  #drawings(mode) { return this.#database.transaction("drawings", mode).objectStore("drawings"); }
}

/** A change stands once its transaction is committed: the disk may be found full after each of its requests has succeeded. */
function committed(transaction) {
  const end = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
  // Where a request has failed, nobody asks any more.
  end.catch(() => {});
  return end;
}

function result(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
