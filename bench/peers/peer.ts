/** What the benchmark asks of everyone it compares; each file beside this one is one of them. */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Workload } from '../generate.ts'

export interface Timing {
  /** The whole command, process start included. */
  commandMs: number
  /** The peer's own figure for the build alone, without process start, imports and loading; null where it has none. */
  buildMs: number | null
}

export interface Peer {
  name: string
  /** What is run, as a reader would type it. */
  command: string
  /** What a second run with nothing changed does: looks and finds nothing, or everything again. */
  unchanged: 'skips' | 'rebuilds'
  /** Installs or compiles what is missing; returns a description with versions. */
  prepare: () => Promise<string>
  /** Writes the project into an empty folder. `start` is a date (ISO) one day before the run. */
  write: (workload: Workload, folder: string, start: string) => Promise<void>
  /** The database the models are in, relative to the folder. */
  database: string
  /** What a build leaves in the folder: removed for a start from cold. */
  leavings: readonly string[]
  /** First build from cold. */
  build: (folder: string) => Promise<Timing>
  /** The same again, nothing changed. */
  rebuild: (folder: string) => Promise<Timing>
  /** Build from cold that measures `buildMs` alone, for a peer whose command does not tell it. */
  buildOnly?: (folder: string) => Promise<number>
}

/** Writes files by their paths relative to `folder`, making folders as needed. */
export async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [file, text] of files) {
    const target = path.join(folder, file)
    await mkdir(path.dirname(target), { recursive: true })
    await writeFile(target, text)
  }
}
