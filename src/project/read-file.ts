/** Files of a project: which there are, and their text. What cannot be read is an error that names the file. */
import type { Dirent } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../errors.ts'
import { createIgnore, type Ignore } from './ignore-patterns.ts'

/**
 * The text of a file, which must be UTF-8; a byte order mark is left out.
 * @param path relative to `root`, `/` as separator
 * @throws MillraceError FILE
 */
export async function readText(root: string, path: string): Promise<string> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(join(root, path))
  } catch (error) {
    throw unreadable(path, error)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    const offset = firstInvalidByte(bytes)
    const before = bytes.subarray(0, offset)
    throw new MillraceError('FILE', `expected '${path}' to be UTF-8 text, got invalid UTF-8 at byte ${offset}`, {
      file: path,
      line: before.reduce((lines, byte) => lines + (byte === 0x0a ? 1 : 0), 1),
      hint: 'save the file as UTF-8',
    })
  }
}

/**
 * Files below a folder whose names end in `extension`, relative to `root`, `/` as separator, sorted; links are followed,
 * and each folder is entered once on the way down, however the links lead. A folder that is not there has no files.
 * @param rest patterns to leave out (as `ignore_patterns` of config.yaml), and what to do with each entry of that name
 * that is no readable file (a folder, a dangling link …; default: it is passed over)
 */
export async function listFiles(
  root: string,
  folder: string,
  extension: string,
  ...rest: [ignorePatterns?: readonly string[], onProblem?: (problem: MillraceError) => void]
): Promise<string[]> {
  const [ignorePatterns = [], onProblem = () => {}] = rest
  const listing: Listing = { root, extension, ignore: createIgnore(ignorePatterns), onProblem, files: [] }
  const kind = await entryKind(join(root, folder))
  if (kind === 'folder') await listFolder(listing, folder, new Set())
  else if (kind !== 'missing') onProblem(notAFolder(folder))
  return listing.files.sort()
}

interface Listing {
  root: string
  extension: string
  ignore: Ignore
  onProblem: (problem: MillraceError) => void
  files: string[]
}

/** @param above real paths of the folders this one is in: entering one of them again would never end */
async function listFolder(listing: Listing, folder: string, above: ReadonlySet<string>): Promise<void> {
  let entries: Dirent[]
  let real: string
  try {
    real = await realpath(join(listing.root, folder))
    if (above.has(real)) return
    entries = await readdir(join(listing.root, folder), { withFileTypes: true })
  } catch (error) {
    listing.onProblem(unreadable(folder, error))
    return
  }
  for (const entry of entries) {
    const path = `${folder}/${entry.name}`
    if (listing.ignore(path)) continue
    const wanted = entry.name.endsWith(listing.extension)
    const kind = entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : await entryKind(join(listing.root, path))
    if (kind === 'folder' && !wanted) await listFolder(listing, path, new Set([...above, real]))
    else if (kind === 'file' && wanted) listing.files.push(path)
    else if (wanted) listing.onProblem(notAFile(path, kind))
  }
}

type EntryKind = 'file' | 'folder' | 'other' | 'missing' | 'unreadable'

async function entryKind(path: string): Promise<EntryKind> {
  try {
    const found = await stat(path)
    return found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other'
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? 'missing' : 'unreadable'
  }
}

function notAFile(path: string, kind: EntryKind): MillraceError {
  const details = { file: path, line: 1 }
  if (kind === 'folder')
    return new MillraceError('FILE', `expected '${path}' to be a file, got a folder`, {
      ...details,
      hint: 'rename the folder',
    })
  if (kind === 'other')
    return new MillraceError('FILE', `expected '${path}' to be a file, got a device, pipe or socket`, details)
  return new MillraceError('FILE', `expected '${path}' to be a file, got a link that leads nowhere`, {
    ...details,
    hint: 'remove the link or restore the file it points to',
  })
}

function notAFolder(path: string): MillraceError {
  return new MillraceError('FILE', `expected '${path}' to be a folder`, {
    file: path,
    line: 1,
    hint: `remove or rename it, and put the files into a folder '${path}'`,
  })
}

function unreadable(path: string, error: unknown): MillraceError {
  const [got, hint] = READ_ERRORS[errorCode(error)] ?? [error instanceof Error ? error.message : String(error), '']
  return new MillraceError('FILE', `expected '${path}' to be readable, got: ${got}`, {
    file: path,
    line: 1,
    cause: error,
    ...(hint === '' ? {} : { hint }),
  })
}

/** Error code → what came, what to do. */
const READ_ERRORS: Readonly<Record<string, readonly [string, string]>> = {
  ENOENT: ['no such file, or a link that leads nowhere', 'restore the file, or remove the link'],
  ELOOP: ['a link that leads to itself', 'remove the link'],
  EISDIR: ['a folder', 'rename the folder'],
  EACCES: ['permission denied', 'let the user that runs Millrace read it'],
  EPERM: ['permission denied', 'let the user that runs Millrace read it'],
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** Offset of the sequence that is not UTF-8. The decoder tells only whether bytes are, so the shortest prefix that is not is searched. */
function firstInvalidByte(bytes: Uint8Array): number {
  let [valid, invalid] = [0, bytes.length + 1]
  while (invalid - valid > 1) {
    const middle = Math.floor((valid + invalid) / 2)
    if (decodePrefix(bytes, middle) === null) invalid = middle
    else valid = middle
  }
  return Buffer.byteLength(decodePrefix(bytes, valid) ?? '')
}

/** Null: not UTF-8; a sequence that the end of the prefix cuts is no error and left out. */
function decodePrefix(bytes: Uint8Array, length: number): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, length), {
      stream: true,
    })
  } catch {
    return null
  }
}
