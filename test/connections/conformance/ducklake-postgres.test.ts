import { afterAll, beforeAll } from 'vitest'
import { extensionDirectory } from '../../helpers/extensions.ts'
import { startPostgres, type PostgresServer } from '../../helpers/postgres.ts'
import { testConformance } from './suite.ts'

let extensions = ''
let postgres: PostgresServer
let lakes = 0

beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'postgres_scanner', 'httpfs')
  postgres = await startPostgres()
}, 240_000)

afterAll(() => postgres?.stop())

testConformance({
  name: 'DuckLake in PostgreSQL',
  fresh: async () => {
    lakes += 1
    const name = `lake_${lakes}`
    await postgres.createDatabase(name)
    return {
      type: 'ducklake',
      catalog: postgres.address(name),
      password: postgres.password,
      data_path: 'data',
      extension_directory: extensions,
    }
  },
})
