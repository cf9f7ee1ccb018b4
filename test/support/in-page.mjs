// Runs in the pages of `openPage` (browser.ts), which call these functions.

/** Submits a form to another page, as a page without any script of its own could. */
function submitForm(url, form) {
  const element = document.createElement('form');
  Object.assign(element, { method: 'post', enctype: 'multipart/form-data', action: url });
  for (const [name, value] of partsOf(form)) {
    const input = Object.assign(document.createElement('input'), { name });
    if (value instanceof File) {
      const chosen = new DataTransfer();
      chosen.items.add(value);
      Object.assign(input, { type: 'file', files: chosen.files });
    } else {
      input.value = value;
    }
    element.append(input);
  }
  document.body.append(element);
  element.submit();
}

/** Sends a form, or what `options` has, by `fetch`. Returns what the page may know of the answer, or that it was blocked. */
async function ask(url, { form, ...options } = {}) {
  try {
    const body = form && new FormData();
    for (const [name, value] of partsOf(form ?? {})) body.append(name, value);
    const answer = await fetch(url, { ...(form && { method: 'POST', body }), ...options });
    const { type, status, headers } = answer;
    return { type, status, requestId: headers.get('x-request-id'), text: await answer.text() };
  } catch (error) {
    return { type: error.name };
  }
}

/** A part is a text, or a file's content in base64. */
function partsOf(form) {
  return Object.entries(form).map(([name, part]) => [name, typeof part === 'string' ? part : fileOf(name, part)]);
}

function fileOf(name, { base64 }) {
  return new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], name);
}

Object.assign(globalThis, { submitForm, ask });
