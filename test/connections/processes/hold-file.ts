/** Holds a database file until its standard input ends: `hold-file.ts FILE`. */
import { DuckDBInstance } from '@duckdb/node-api'

const [file = ''] = process.argv.slice(2)
const instance = await DuckDBInstance.create(file)
const connection = await instance.connect()
await connection.run('CREATE TABLE IF NOT EXISTS held AS SELECT 1 AS x')
process.stdout.write('holding\n')
process.stdin.resume()
process.stdin.once('end', () => {
  connection.disconnectSync()
  instance.closeSync()
})
