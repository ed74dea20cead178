// One call of the official JavaScript client: JSON in, JSON out, as sdk_calls.py has it for Python.
import { readFileSync, writeSync } from 'node:fs';
import { Client } from 'wavespeed';

const asked = JSON.parse(readFileSync(0, 'utf8'));
const client = new Client(undefined, { baseUrl: asked.base_url });
let said;
try {
  said = { answer: await client[asked.call](...asked.arguments, asked.options) };
} catch (error) {
  said = { refused: error.message };
}
writeSync(1, `\n${JSON.stringify(said)}\n`);
