import { testConformance } from './suite.ts'

testConformance({ name: 'DuckDB in memory', fresh: async () => ({ type: 'duckdb', database: ':memory:' }) })
