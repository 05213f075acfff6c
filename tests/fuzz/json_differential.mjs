// The scanner against JSON.parse: both accept the same texts, and the messages that the scanner
// cuts out are the elements that JSON.parse finds.
//
// First come the files of json_test_suite/ (whose names say what must become of them) and of the
// kept corpus, then texts that are made up.
//
//   node json_differential.mjs JSON_VERDICTS [--runs N] [--seed N]
import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BATCH = 20000;
const DEPTH_MAX = 512; // kJsonDepthMax

const [program, ...flags] = process.argv.slice(2);
const flag = (name, otherwise) => {
  const at = flags.indexOf(name);
  return at < 0 ? otherwise : Number(flags[at + 1]);
};
const runs = flag("--runs", 100000);
const seed = flag("--seed", 1);

// mulberry32: small, seeded, the same everywhere.
let state = seed >>> 0;
function below(n) {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % n;
}
const pick = (list) => list[below(list.length)];

const blanks = ["", "", "", " ", "\n", "\t\r ", "\u00a0", "\ufeff", "\v"];
const scalars = ["0", "-0", "1", "-12.5", "1e400", "0.1E-7", "18446744073709551616", "true",
  "false", "null", "01", "1.", ".5", "+1", "-", "1e", "NaN", "Infinity", "nul", "undefined",
  "0x10"];
const parts = ["a", "é", "€", "😀", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\uD83D\\uDE00",
  "\\ud800", "\\u12", "\\x41", "[", "]", "{", "}", ",", ":", " ", "0123456789abcdef", "\u2028",
  "\u007f", "\n", "\t", "\0", "'", "//"];
// Bad parts are rare, so that most texts are nearly valid.
const rarely = (good, list) => (below(12) === 0 ? pick(list) : good);

function text(depth) {
  const kind = below(depth > 0 ? 5 : 3);
  const blank = () => pick(below(25) === 0 ? blanks : blanks.slice(0, 6));
  if (kind === 0) return pick(below(6) === 0 ? scalars : scalars.slice(0, 10));
  if (kind < 3) {
    let out = '"';
    for (let n = below(4); n > 0; n--) out += pick(below(15) === 0 ? parts : parts.slice(0, 11));
    return out + rarely('"', ['"', '"', "'", ""]);
  }
  const object = kind === 4;
  let out = (object ? "{" : "[") + blank();
  for (let n = below(4), i = 0; i < n; i++) {
    if (i > 0) out += rarely(",", [",", ",", ",,", "", ";"]) + blank();
    if (object) out += rarely('"k"', ['"k"', "k", '""', "1"]) + blank() + ":" + blank();
    out += text(depth - 1) + blank();
  }
  return out + rarely(object ? "}" : "]", ["}", "]", "", ","]);
}

function mutated() {
  const whole = below(3) > 0 ? `[${text(4)},${text(3)}]` : pick(["", " ", "\n"]) + text(5);
  let bytes = Buffer.from(whole, "utf8");
  for (let n = below(3); n > 0 && bytes.length > 0; n--) {
    const at = below(bytes.length);
    const kind = below(12);
    if (kind === 0) bytes[at] = below(256);
    if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    if (kind === 2) bytes = bytes.subarray(0, at);
    if (kind === 3) bytes[at] = pick([..."[]{},:\"\\ \n0-"]).charCodeAt(0);
  }
  return bytes;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
function parse(bytes) {
  try {
    return { value: JSON.parse(decoder.decode(bytes)) };
  } catch {
    return undefined;
  }
}

// What is wrong with the scanner's answer, or nothing.
function difference(bytes, line) {
  const [verdict, ...ranges] = line.split(" ");
  if (verdict === "deep") {
    const opened = bytes.filter((c) => c === 0x5b || c === 0x7b).length;
    return opened > DEPTH_MAX ? undefined : "refused as too deep";
  }
  const parsed = parse(bytes);
  if (parsed === undefined) return verdict === "invalid" ? undefined : "accepted";
  const array = Array.isArray(parsed.value);
  const expected = !array ? "value" : parsed.value.length > 0 ? "array" : "empty";
  if (verdict !== expected) return `${verdict} instead of ${expected}`;
  const values = array ? parsed.value : [parsed.value];
  if (ranges.length !== values.length) return `${ranges.length} messages, not ${values.length}`;
  for (const [i, range] of ranges.entries()) {
    const [begin, end] = range.split("-").map(Number);
    const message = bytes.subarray(begin, end);
    const alone = parse(message);
    if (alone === undefined || JSON.stringify(alone.value) !== JSON.stringify(values[i])) {
      return `message ${i} differs`;
    }
    if (/^[ \t\r\n]|[ \t\r\n]$/.test(message.toString("latin1"))) return `message ${i} not trimmed`;
  }
  return undefined;
}

// The scanner's answers to many texts, a line each.
function scan(texts) {
  const input = Buffer.concat(texts.flatMap((bytes) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  }));
  const run = spawnSync(program, [], { input, maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`${program}: ${run.error ?? run.stderr}`);
  return run.stdout.toString().split("\n");
}

let passed = 0;
let failed = 0;
function fail(wrong, name) {
  failed++;
  if (failed <= 10) console.log(`${wrong}: ${name}`);
}

// y_ must be accepted, n_ must not, i_ is up to us: as JSON.parse has it.
const files = ["json_test_suite", "corpus/json_scan"].flatMap((folder) => {
  const path = fileURLToPath(new URL(folder, import.meta.url));
  return readdirSync(path).sort().map((name) => ({ name, bytes: readFileSync(join(path, name)) }));
});
const answers = scan(files.map(({ bytes }) => bytes));
for (const [i, { name, bytes }] of files.entries()) {
  const accepted = /^(value|array|empty)/.test(answers[i]);
  const wrong = difference(bytes, answers[i]);
  if (wrong !== undefined) fail(wrong, name);
  else if (name.startsWith("y_") && !accepted) fail("refused", name);
  else if (name.startsWith("n_") && accepted) fail("accepted", name);
  else passed++;
}
if (files.filter(({ name }) => /^[yni]_/.test(name)).length !== 318) fail("files are missing", "");

let valid = 0;
for (let done = 0; done < runs; done += BATCH) {
  const texts = Array.from({ length: Math.min(BATCH, runs - done) }, mutated);
  const lines = scan(texts);
  for (const [i, bytes] of texts.entries()) {
    const wrong = difference(bytes, lines[i]);
    if (!lines[i].startsWith("invalid")) valid++;
    if (wrong !== undefined) fail(wrong, JSON.stringify(bytes.toString("latin1")));
  }
}
console.log(`${valid} of ${runs} texts were valid, seed ${seed}`);
// A generator that makes only one kind of text would prove nothing.
if (valid < runs / 10 || valid > (runs * 9) / 10) fail("too few, or too many", "valid texts");
if (failed === 0) passed++;
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
