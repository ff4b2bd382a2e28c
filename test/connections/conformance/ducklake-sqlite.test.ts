import { beforeAll } from 'vitest'
import { extensionDirectory } from '../../helpers/extensions.ts'
import { testConformance } from './suite.ts'

let extensions = ''

beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'sqlite_scanner', 'httpfs')
}, 240_000)

testConformance({
  name: 'DuckLake in SQLite',
  fresh: async () => ({
    type: 'ducklake',
    catalog: 'sqlite:lake.sqlite',
    data_path: 'data',
    extension_directory: extensions,
  }),
})
