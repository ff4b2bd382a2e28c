import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { createTempDirectory } from '../../src/connections/databases/temp-directory.ts'

test('every instance gets a folder of its own, and those of dead processes on this machine go', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-temp-'))
  try {
    const shared = join(folder, 'a/b')
    const dead = execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }).trim()
    const host = hostname().replaceAll(/[^\w.]/g, '_')
    const kept = [`duckdb-${host}-${process.pid}-999`, `duckdb-elsewhere-${dead}-1`, 'something-else']
    for (const name of [...kept, `duckdb-${host}-${dead}-1`]) mkdirSync(join(shared, name), { recursive: true })
    const made = [createTempDirectory(shared), createTempDirectory(shared)]
    expect(new Set(made.map((path) => basename(path))).size).toBe(2)
    // DuckDB makes the folder itself when it needs one.
    expect(readdirSync(shared).sort()).toEqual([...kept].sort())
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
