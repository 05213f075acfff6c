// Damage to stored files, and the checksum that hides a change from the reader of a header.
import { closeSync, fstatSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'

const kTable = Array.from({ length: 256 }, (_, i) => {
  let value = i
  for (let bit = 0; bit < 8; ++bit) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value >>> 0
})

export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (kTable[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

/** Inverts the bytes [at, at + count) of a file. */
export function invert(path: string, at: number, count = 1): void {
  const file = openSync(path, 'r+')
  const bytes = Buffer.alloc(count)
  if (readSync(file, bytes, 0, count, at) !== count) throw new Error(`${path} ends before ${at}`)
  writeSync(file, Buffer.from(bytes.map((byte) => ~byte & 0xff)), 0, count, at)
  closeSync(file)
}

export function sizeOf(path: string): number {
  const file = openSync(path, 'r')
  const { size } = fstatSync(file)
  closeSync(file)
  return size
}

/** Where `text` is in a file. */
export function placeOf(path: string, text: string): number {
  const at = readFileSync(path).indexOf(text)
  if (at < 0) throw new Error(`${path} does not hold ${text}`)
  return at
}
