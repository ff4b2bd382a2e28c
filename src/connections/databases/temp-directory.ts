/** A folder of its own for each instance's spilled data. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

let made = 0

/**
 * DuckDB names its temporary files alike in every instance: two that share a folder read each other's blocks, and fail or
 * corrupt. It makes and removes the last folder of the path itself; folders of processes that died are removed here.
 * @param folder shared by all; made when missing.
 */
export function createTempDirectory(folder: string): string {
  mkdirSync(folder, { recursive: true })
  const host = hostname().replaceAll(/[^\w.]/g, '_')
  for (const name of readdirSync(folder)) {
    const owner = /^duckdb-(.+)-(\d+)-\d+$/.exec(name)
    if (owner?.[1] === host && !isAlive(Number(owner[2]))) rmSync(join(folder, name), { recursive: true, force: true })
  }
  made += 1
  return join(folder, `duckdb-${host}-${process.pid}-${made}`)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
