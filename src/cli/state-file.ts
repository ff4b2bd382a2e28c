/** The file of `state export` and `state import`: JSON, one row per line, so that two exports can be compared. */
import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { MillraceError } from '../errors.ts'
import { STATE_VERSION } from '../state/schema.ts'
import type { StateTables } from '../state/transfer.ts'

export interface StateFile {
  /** The project's name. */
  project: string
  /** ISO 8601 in UTC. */
  exportedAt: string
  /** Version of the state's schema. */
  stateVersion: number
  /** Of the main database. */
  tables: StateTables
  /** Of attached catalogs, by name; absent where none has a state of the project. */
  catalogs?: Record<string, StateTables>
}

/** Replaces the file in one step: it is the old one or the new one, never a part. @throws MillraceError FILE */
export async function writeStateFile(path: string, content: StateFile): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      await writeContent(file, content)
      // On the disk before it gets its name: a crash leaves the old file or the whole new one.
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw unusable(
      `${path} cannot be written: ${messageOf(error)}`,
      'Name a file in a folder that can be written to.',
      error,
    )
  }
}

/** @throws MillraceError FILE when it is no exported state, STATE_NEWER when a newer Millrace wrote it. */
export async function readStateFile(path: string): Promise<StateFile> {
  const content = parseJson(await readText(path), path)
  const head = headSchema.safeParse(content)
  if (!head.success) throw unusable(`expected ${path} to be a file of \`state export\`; it is none`, EXPORT_FIRST)
  if (head.data.formatVersion > FORMAT_VERSION || head.data.stateVersion > STATE_VERSION) {
    const { formatVersion, stateVersion } = head.data
    throw new MillraceError(
      'STATE_NEWER',
      `expected a state of version ${STATE_VERSION} in a file of format ${FORMAT_VERSION}; ${path} has version ${stateVersion}, format ${formatVersion}, made by a newer Millrace`,
      { hint: 'Upgrade Millrace on this machine.' },
    )
  }
  if (head.data.stateVersion < STATE_VERSION) {
    const message = `expected a state of version ${STATE_VERSION} in ${path}; it has version ${head.data.stateVersion}`
    throw unusable(message, 'Export it again with this version of Millrace, which migrates the database it comes from.')
  }
  const parsed = fileSchema.safeParse(content)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw unusable(`${path}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'cannot be read'}`, EXPORT_FIRST)
}

const FORMAT = 'millrace-state'
const FORMAT_VERSION = 1
const EXPORT_FIRST = 'Write one with `state export FILE`.'
/** Rows in one write. */
const CHUNK_ROWS = 5_000

const headSchema = z.object({
  format: z.literal(FORMAT),
  formatVersion: z.int().positive(),
  stateVersion: z.int().positive(),
})
const row = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
const tables = z.record(z.string(), z.array(row))
const fileSchema = z.object({
  project: z.string(),
  exportedAt: z.string(),
  stateVersion: z.int(),
  tables,
  catalogs: z.record(z.string(), tables).optional(),
})

/** Piece by piece: a large ledger is longer than one string may be. */
async function writeContent(file: FileHandle, { tables, catalogs = {}, ...content }: StateFile): Promise<void> {
  const head = JSON.stringify({ format: FORMAT, formatVersion: FORMAT_VERSION, ...content }, null, 2)
  await file.write(`${head.slice(0, -2)},\n  "tables": `)
  await writeTables(file, tables, '  ')
  const others = Object.entries(catalogs)
  if (others.length > 0) {
    await file.write(',\n  "catalogs": {')
    for (const [index, [catalog, own]] of others.entries()) {
      await file.write(`${index === 0 ? '' : ','}\n    ${JSON.stringify(catalog)}: `)
      await writeTables(file, own, '    ')
    }
    await file.write('\n  }')
  }
  await file.write('\n}\n')
}

async function writeTables(file: FileHandle, tables: StateTables, indent: string): Promise<void> {
  await file.write('{')
  for (const [index, [table, rows]] of Object.entries(tables).entries()) {
    await file.write(`${index === 0 ? '' : ','}\n${indent}  ${JSON.stringify(table)}: [`)
    for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
      const lines = rows.slice(from, from + CHUNK_ROWS).map((row) => `\n${indent}    ${JSON.stringify(row)}`)
      await file.write(`${from === 0 ? '' : ','}${lines.join(',')}`)
    }
    await file.write(rows.length === 0 ? ']' : `\n${indent}  ]`)
  }
  await file.write(`\n${indent}}`)
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw unusable(`${path} cannot be read: ${messageOf(error)}`, EXPORT_FIRST, error)
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw unusable(`expected JSON in ${path}: ${messageOf(error)}`, EXPORT_FIRST, error)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function unusable(message: string, hint: string, cause?: unknown): MillraceError {
  return new MillraceError('FILE', message, { hint, cause })
}
