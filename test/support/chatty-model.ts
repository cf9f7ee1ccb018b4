import fs from 'node:fs/promises';
import path from 'node:path';

import { bundledModel } from '../../src/config/paths.js';

const template = `{% for message in messages %}{{ message['role'] }}: {{ message['content'] | trim }}
{% endfor %}{% if add_generation_prompt %}name: {% endif %}`;

/** Writes a copy of the bundled model that has a chat template into a directory, and returns the copy's. */
export async function chattyModel(parent: string): Promise<string> {
  const directory = path.join(parent, 'chatty');
  await fs.cp(bundledModel, directory, { recursive: true });
  await fs.writeFile(path.join(directory, 'chat_template.jinja'), template);
  return directory;
}
