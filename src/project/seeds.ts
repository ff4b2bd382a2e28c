/** A seed's CSV file: where it is, and what it holds. */
import { createHash } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { access, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, posix, resolve } from 'node:path'
import { MillraceError, nearest } from '../errors.ts'
import type { Model } from './model.ts'

/**
 * The absolute path of a seed's file.
 * @param path as the model's kind has it: relative to the model's file, `$root/…` from the project's folder, or absolute
 * @param root the project's folder
 * @throws MillraceError SEED, at the model's place: the file is missing (with the nearest name that is there), no file,
 * unreadable, empty, or starts with an empty line
 */
export async function resolveSeedPath(
  path: string,
  model: Pick<Model, 'name' | 'file' | 'line'>,
  root: string,
): Promise<string> {
  const absolute = absolutePath(path, model.file, root)
  const fail = (message: string, hint: string, cause?: unknown): MillraceError =>
    new MillraceError('SEED', `seed '${model.name}': ${message}`, { file: model.file, line: model.line, hint, cause })
  try {
    const found = await stat(absolute)
    if (!found.isFile()) throw fail(`expected '${path}' to be a file, got a folder`, 'name a CSV file in it')
    if (found.size === 0)
      throw fail(`expected '${path}' to start with a line of column names, got an empty file`, 'write one')
    await access(absolute, constants.R_OK)
    if (await startsWithEmptyLine(absolute)) {
      throw fail(`expected '${path}' to start with a line of column names, got an empty line`, 'remove it')
    }
  } catch (error) {
    if (error instanceof MillraceError) throw error
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code === 'EACCES' || code === 'EPERM') {
      throw fail(
        `expected '${path}' to be readable, permission denied`,
        'let the user that runs Millrace read it',
        error,
      )
    }
    throw fail(`expected a file '${path}', there is none`, await missingHint(absolute, path), error)
  }
  return absolute
}

/** SHA-256 of a file's bytes, in hexadecimal. @param path absolute */
export async function hashSeed(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

function absolutePath(path: string, modelFile: string, root: string): string {
  const fromRoot = /^\$root[/\\]+(.*)$/s.exec(path)?.[1]
  if (fromRoot !== undefined) return resolve(root, fromRoot)
  return isAbsolute(path) ? resolve(path) : resolve(root, dirname(modelFile), path)
}

async function startsWithEmptyLine(path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0)
    const text = buffer.subarray(0, bytesRead).toString('latin1')
    const [first = ''] = text.replace(/^\u00EF\u00BB\u00BF/, '').split(/\r\n|\r|\n/)
    return first.trim() === ''
  } finally {
    await file.close()
  }
}

async function missingHint(absolute: string, path: string): Promise<string> {
  const folder = dirname(absolute)
  const names = await readdir(folder).catch(() => null)
  if (names === null)
    return `its folder ${folder} is not there; paths are relative to the model's file, or start with $root/`
  const suggestion = nearest(basename(absolute), names)
  if (suggestion !== null) return `Did you mean '${posix.join(dirname(path), suggestion)}'?`
  return `it was looked for as ${join(folder, basename(absolute))}; paths are relative to the model's file, or start with $root/`
}
