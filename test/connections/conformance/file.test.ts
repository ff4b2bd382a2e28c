import { testConformance } from './suite.ts'

testConformance({ name: 'DuckDB file', fresh: async () => ({ type: 'duckdb', database: 'warehouse.duckdb' }) })
