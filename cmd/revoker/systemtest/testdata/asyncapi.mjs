// Parses an AsyncAPI document by npm's @asyncapi/parser and prints its findings as JSON. ASYNCAPI_PARSER is the package's folder.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const { Parser } = createRequire(import.meta.url)(process.env.ASYNCAPI_PARSER);
const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], 'utf8'));
console.log(JSON.stringify({ version: document?.version(), operations: document?.operations().all().length, diagnostics }));
