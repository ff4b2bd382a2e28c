/** Rows of a database as a test's YAML has them. */
import type { Lease } from '../../connections/lease.ts'
import type { TestRow, TestValue } from '../../project/unit-tests/unit-test.ts'
import { describeQuery } from '../live-database.ts'

export interface SampledRows {
  /** Lower-case column → type. */
  columns: Record<string, string>
  rows: TestRow[]
}

export async function sampleRows(query: string, lease: Pick<Lease, 'rows'>): Promise<SampledRows> {
  const columns = await describeQuery(query, lease)
  const rows = await lease.rows<Record<string, TestValue>>(query)
  return {
    columns,
    rows: rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [
          name.toLowerCase(),
          toTestValue(value, columns[name.toLowerCase()] ?? ''),
        ]),
      ),
    ),
  }
}

/** Decimals as numbers where those are exact enough to read, maps as mappings; the rest as it is. */
function toTestValue(value: TestValue, type: string): TestValue {
  if (type.startsWith('DECIMAL(') && typeof value === 'string' && value.length <= 15) return Number(value)
  if (type.startsWith('MAP(') && Array.isArray(value)) {
    const entries = value as unknown as { key: string | number; value: TestValue }[]
    return Object.fromEntries(entries.map((entry) => [String(entry.key), entry.value]))
  }
  return value
}
