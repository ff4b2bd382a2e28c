/** Days in the life of two source tables: rows that come, change, go and come back, with NULLs and duplicates. The same for one seed. */
import { quoteString } from '../../src/sql/identifiers.ts'
import { createRandom } from '../../test/helpers/random.ts'

export interface Day {
  /** When the build runs: some time after the day has ended. */
  executionTime: string
  sql: string[]
}

interface Customer {
  id: number | null
  part: string | null
  status: string | null
  note: string | null
  updated_at: string | null
}

/** The first build covers as many days. */
const DAYS_BEFORE = 3
const MS = 86_400_000

/** @param count of builds, one a day. */
export function randomDays(seed: number, count: number): Day[] {
  const random = createRandom(seed)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T
  const customers = new Map<string, Customer>()
  const days: Day[] = []
  for (let nth = 0; nth < count; nth++) {
    const now = Date.parse('2024-01-01') + (nth + DAYS_BEFORE) * MS
    const ended = isoDay(now - MS)
    changeCustomers(customers, { random, pick, now })
    const rows = [...customers.values()].flatMap((row) => (random() < 0.1 ? [row, row] : [row]))
    days.push({
      // Not always at midnight.
      executionTime: new Date(now + (random() < 0.5 ? 0 : Math.floor(random() * 80_000) * 1000)).toISOString(),
      sql: [
        ...(nth === 0 ? [CREATE] : []),
        'DELETE FROM raw.customers',
        ...(rows.length === 0 ? [] : [`INSERT INTO raw.customers VALUES ${rows.map(values).join(', ')}`]),
        ...eventsOf(nth, { random, pick, ended }),
      ],
    })
  }
  return days
}

const CREATE = `CREATE SCHEMA raw;
CREATE TABLE raw.customers (id INT, part VARCHAR, status VARCHAR, note VARCHAR, updated_at TIMESTAMP);
CREATE TABLE raw.events (id INT, v INT, ds DATE)`

interface Chance {
  random: () => number
  pick: <T>(values: readonly T[]) => T
}

function changeCustomers(customers: Map<string, Customer>, { random, pick, now }: Chance & { now: number }): void {
  for (const id of [1, 2, 3, 4, null]) {
    for (const part of ['a', 'B', null]) {
      const key = `${id} ${part}`
      const known = customers.get(key)
      const chance = random()
      // Some are older than what is known of them.
      const updatedAt = new Date(now - Math.floor(random() * 3 * MS)).toISOString().slice(0, 19).replace('T', ' ')
      if (known === undefined ? chance < 0.4 : chance < 0.3) {
        const [status, note] = [pick(['new', 'old', 'New', null]), pick(['n', 'm', null])]
        customers.set(key, { id, part, status, note, updated_at: random() < 0.05 ? null : updatedAt })
      } else if (known !== undefined && chance < 0.45) customers.delete(key)
      else if (known !== undefined && chance < 0.6) known.note = pick(['n', 'm', null])
    }
  }
}

/** Those of the day, those that come late, and those that are corrected or withdrawn. */
function eventsOf(nth: number, { random, pick, ended }: Chance & { ended: string }): string[] {
  const added: string[] = []
  for (let back = 0; back < (nth === 0 ? DAYS_BEFORE : 4); back++) {
    const number = Math.floor(random() * (back === 0 ? 5 : 2))
    for (let one = 0; one < number; one++) {
      added.push(`(${pick([1, 2, 3, 4, 5, 6])}, ${pick(['1', '2', '3', 'NULL'])}, DATE '${ended}' - ${back})`)
    }
  }
  return [
    ...(added.length === 0 ? [] : [`INSERT INTO raw.events VALUES ${added.join(', ')}`]),
    `UPDATE raw.events SET v = v + 10 WHERE id = ${pick([1, 2, 3])} AND ds = DATE '${ended}' - ${pick([0, 1, 2, 3])}`,
    `DELETE FROM raw.events WHERE id = ${pick([4, 5])} AND ds = DATE '${ended}' - ${pick([1, 2])}`,
  ]
}

function values(row: Customer): string {
  const texts = Object.values(row).map((value) =>
    value === null ? 'NULL' : typeof value === 'number' ? `${value}` : quoteString(value as string),
  )
  return `(${texts.join(', ')})`
}

function isoDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
