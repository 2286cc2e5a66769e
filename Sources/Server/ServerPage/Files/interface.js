// The server's interface, as /openapi.json describes it.

const keyName = "dalle-server-key";
const proxyWords = {
  413: "This is too large for the server.", 429: "The server has too much to do.",
  502: "The server was stopped, or is just being started.", 504: "The server took too long to answer.",
};

/** An answer that is not pictures, in words for a person. */
export class Refusal extends Error {
  /**
   * @param status of HTTP; 0 where there was no answer.
   * @param field what the interface calls the field that is wrong, where it is one.
   * @param retryAfter seconds after which another try makes sense.
   */
  constructor(message, status, field = null, retryAfter = null) {
    super(message);
    Object.assign(this, { status, field, retryAfter });
  }
}

let key = null;
try {
  key = sessionStorage.getItem(keyName);
} catch { /* This browser keeps nothing for pages: the key is there as long as the page. */ }

/** Keeps a key until the window is closed. */
export function setKey(value) {
  key = value;
  try {
    sessionStorage.setItem(keyName, value);
  } catch { /* It is not kept over a reload. */ }
}

/** Whether there is a key, be it right or wrong. */
export function hasKey() { return Boolean(key); }

/** The models that can draw. */
export async function models() {
  const response = await request("/v1/models", { cache: "no-store" });
  return (await response.json()).data;
}

/**
 * Draws pictures, and yields what the server tells meanwhile: `queued` with `position`, `partial_image` with `index`,
 * `partial_image_index` and `b64_json`, and `completed` with `index`, `b64_json`, `seed`, `number`, `notes`, `model`.
 * @param settings the fields of the interface; those that are null are left out.
 * @param beginning the picture to begin with, `{ blob, name, rows }`, or null.
 * @param signal calls it off.
 */
export async function* draw(settings, beginning, signal) {
  const fields = Object.entries({ ...settings, stream: true, progress: true }).filter(([, value]) => value !== null);
  const options = { method: "POST", signal };
  let path = "/v1/images/generations";
  if (beginning) {
    path = settings.prompt ? "/v1/images/edits" : "/v1/images/variations";
    options.body = new FormData();
    for (const [name, value] of fields) if (value !== "") options.body.append(name, String(value));
    options.body.append("keep_rows", String(beginning.rows));
    options.body.append("image", beginning.blob, beginning.name);
  } else {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(Object.fromEntries(fields));
  }
  const response = await request(path, options);
  for await (const event of events(response.body)) {
    if (event.type === "error") throw new Refusal(event.error.message, 500, event.error.param);
    yield { ...event, type: event.type.split(".").pop() };
  }
}

async function request(path, options) {
  const headers = new Headers(options.headers);
  // No header can carry another one, and no server has it.
  if (key && !/^[\x21-\x7e]+$/.test(key)) {
    throw new Refusal("A key is letters, digits and signs without spaces, and none of other alphabets.", 401);
  }
  if (key) headers.set("Authorization", `Bearer ${key}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    throw lost(error, "The server does not answer: it was stopped, or the way to it is cut off.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** What a failed request or stream means; that it was called off stays what it is. */
function lost(error, message) {
  return error.name === "AbortError" || error instanceof Refusal ? error : new Refusal(message, 0);
}

async function refusal(response) {
  // A proxy in between answers in a form of its own.
  let error = { message: proxyWords[response.status] ?? `The server answers ${response.status}.`, param: null };
  try {
    const given = (await response.json()).error;
    if (typeof given?.message === "string") error = given;
  } catch { /* It stays so. */ }
  const seconds = Number(response.headers.get("Retry-After"));
  return new Refusal(error.message, response.status, error.param, seconds > 0 ? seconds : null);
}

/** The events of a text/event-stream, each as the object that it carries. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:"))
          .map((line) => line.slice(5).trimStart()).join("\n");
        if (data !== "" && data !== "[DONE]") yield JSON.parse(data);
      }
    }
  } catch (error) {
    throw lost(error, "The connection to the server broke off before the pictures were finished.");
  } finally {
    // Whoever no longer listens lets the server stop drawing. That a stream which failed cannot be ended is no news.
    reader.cancel().catch(() => {});
  }
}
