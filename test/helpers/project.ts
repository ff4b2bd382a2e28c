/** Projects in temporary folders, and a look into their databases. */
import { DuckDBInstance } from '@duckdb/node-api'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

export const CONFIG = `gateways:
  local:
    connection: { type: duckdb, database: w.duckdb }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }
`

/** The smallest project in which one model reads another. */
export const TWO_MODELS = {
  'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x',
  'models/b.sql': 'MODEL (name s.b, kind FULL);\nSELECT x + 1 AS y FROM s.a',
}

/** A folder with these files (text by path) and, unless given, a config for the file `w.duckdb`; removed after the test. */
export async function createProject(files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-project-'))
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  await writeFiles(root, { 'config.yaml': CONFIG, ...files })
  return root
}

export async function writeFiles(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

/** Opens a database that no other process or registry holds, for one look or change. */
export async function query(file: string, sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(file)
  try {
    const connection = await instance.connect()
    try {
      return (await connection.runAndReadAll(sql)).getRowObjectsJson()
    } finally {
      connection.closeSync()
    }
  } finally {
    instance.closeSync()
  }
}
