import { beforeAll } from 'vitest'
import { extensionDirectory } from '../../helpers/extensions.ts'
import { testConformance } from './suite.ts'

let extensions = ''

beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'httpfs')
}, 240_000)

testConformance({
  name: 'DuckLake in DuckDB',
  fresh: async () => ({ type: 'ducklake', catalog: 'lake.ducklake', extension_directory: extensions }),
})
