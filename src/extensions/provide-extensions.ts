/** A folder of DuckDB's extensions, filled from the Python package index: for machines that DuckDB's own repository is closed to. */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describeDuckDB, type KnownExtension } from '../connections/duckdb-build.ts'
import { MillraceError, nearest } from '../errors.ts'
import { withProcessLock } from '../temporal/process-lock.ts'
import { downloadPackages } from './download-packages.ts'

export interface ProvideOptions {
  /** DuckDB's name of the platform that will load them. Default: this machine's. */
  platform?: string | undefined
  /** One line of text for the user, whenever something takes long. */
  onProgress: (line: string) => void
  /** PATH, pip's settings and proxies are read from it. Default: this process's environment. */
  env?: NodeJS.ProcessEnv
  signal?: AbortSignal | undefined
}

export interface ProvidedExtensions {
  /** DuckDB's version, `v1.5.5`. */
  version: string
  platform: string
  /** Whether the platform is this machine's, so that they can be loaded here. */
  forThisMachine: boolean
  extensions: readonly ProvidedExtension[]
}

export interface ProvidedExtension {
  /** DuckDB's own name: `sqlite_scanner` where `sqlite` was asked for. */
  name: string
  /** What is built in has no file. */
  source: 'fetched' | 'present' | 'built in'
}

/**
 * Leaves each extension in `directory` as DuckDB looks for it there (`<version>/<platform>/<name>.duckdb_extension`), complete
 * or not at all; fetches what is missing, once however many processes ask at the same time. Loads none of them.
 * @param directory what a connection names as `extension_directory`; made when something is fetched.
 * @param names as DuckDB knows them; aliases are understood.
 * @throws MillraceError USAGE for a name that DuckDB does not know; EXTENSION when one cannot be fetched; the signal's reason.
 */
export async function provideExtensions(
  directory: string,
  names: readonly string[],
  options: ProvideOptions,
): Promise<ProvidedExtensions> {
  const build = await describeDuckDB()
  // A name and its alias are one.
  const wanted = [...new Set(names.map((name) => findKnown(name, build.extensions)))]
  const { version } = build
  const platform = options.platform ?? build.platform
  const withFile = wanted.filter(({ builtIn }) => !builtIn).map(({ name }) => name)
  const fetched = await fetchMissing({ root: resolve(directory), version, platform }, withFile, options)
  return {
    version,
    platform,
    forThisMachine: platform === build.platform,
    extensions: wanted.map(({ name, builtIn }) => ({
      name,
      source: builtIn ? 'built in' : fetched.includes(name) ? 'fetched' : 'present',
    })),
  }
}

interface Place {
  /** Absolute. */
  root: string
  version: string
  platform: string
}

const SCRATCH_PREFIX = '.fetch-'

function findKnown(name: string, known: readonly KnownExtension[]): KnownExtension {
  const lower = name.toLowerCase()
  const found = known.find((extension) => extension.name === lower || extension.aliases.includes(lower))
  if (found !== undefined) return found
  const near = nearest(
    lower,
    known.flatMap((extension) => [extension.name, ...extension.aliases]),
  )
  throw new MillraceError(
    'USAGE',
    `expected one of DuckDB's extensions ${known.map((extension) => extension.name).join(', ')}; got '${name}'`,
    near === null ? {} : { hint: `Did you mean '${near}'?` },
  )
}

/** @returns the names of those it has fetched. */
async function fetchMissing(place: Place, names: readonly string[], options: ProvideOptions): Promise<string[]> {
  const isMissing = (name: string) => !existsSync(fileOf(place, name))
  if (!names.some(isMissing)) return []
  const { onProgress, signal } = options
  const onWait = (holder: number | null, waitedMs: number) =>
    onProgress(
      `Waiting for process ${holder ?? 'unknown'}, which is fetching extensions … ${Math.round(waitedMs / 1000)} s`,
    )
  return withProcessLock(join(place.root, '.lock'), { onWait, signal }, async () => {
    // Whoever held the lock before us may have put them there.
    const missing = names.filter(isMissing)
    if (missing.length > 0) await fetchAll(place, missing, options)
    return missing
  })
}

/** Called under the folder's lock. */
async function fetchAll(place: Place, names: readonly string[], options: ProvideOptions): Promise<void> {
  const { onProgress, env = process.env, signal } = options
  await removeLeftovers(place.root)
  // Beside its destination, so that a file gets there by being renamed.
  const scratch = await mkdtemp(join(place.root, SCRATCH_PREFIX))
  try {
    onProgress(`Fetching ${names.join(', ')} for DuckDB ${place.version} on ${place.platform}`)
    const { version, platform } = place
    const files = await downloadPackages(names, { version, platform, scratch, env, signal })
    await mkdir(join(place.root, version, platform), { recursive: true })
    for (const [name, file] of files) await rename(file, fileOf(place, name))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What a process that was killed has left. */
async function removeLeftovers(folder: string): Promise<void> {
  const leftovers = (await readdir(folder)).filter((name) => name.startsWith(SCRATCH_PREFIX))
  await Promise.all(leftovers.map((name) => rm(join(folder, name), { recursive: true, force: true })))
}

function fileOf({ root, version, platform }: Place, name: string): string {
  return join(root, version, platform, `${name}.duckdb_extension`)
}
