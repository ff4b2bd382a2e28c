/**
 * node run-statements.mjs DATABASE STATEMENTS.json: runs the statements in order and prints how many milliseconds they took.
 * Plain JavaScript: the baseline must not pay for a compiler.
 */
import { readFileSync } from 'node:fs'
import { DuckDBInstance } from '@duckdb/node-api'

const [database, file] = process.argv.slice(2)
const statements = JSON.parse(readFileSync(file, 'utf8'))
const instance = await DuckDBInstance.create(database)
const connection = await instance.connect()
const startedMs = performance.now()
for (const statement of statements) await connection.run(statement)
const buildMs = performance.now() - startedMs
connection.closeSync()
instance.closeSync()
console.log(buildMs.toFixed(1))
