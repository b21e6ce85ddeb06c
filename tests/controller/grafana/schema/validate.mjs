// node validate.mjs FILE…: prints, as one JSON object, what is wrong with each dashboard: FILE → messages.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import Ajv from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';

const here = dirname(fileURLToPath(import.meta.url));
const schema = createGenerator({
  path: join(here, 'dashboard.ts'),
  tsconfig: join(here, 'tsconfig.json'),
  type: 'GridlabDashboard',
  expose: 'none',
}).createSchema('GridlabDashboard');
const valid = new Ajv({ allErrors: true, strict: false }).compile(schema);

const messages = (file) =>
  valid(JSON.parse(readFileSync(file, 'utf8')))
    ? []
    : valid.errors.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`);
console.log(JSON.stringify(Object.fromEntries(process.argv.slice(2).map((file) => [file, messages(file)]))));
