/**
 * Lakes that are read by transactions of other catalogs. With DuckDB 1.5 a DuckLake that one connection reads in a transaction while
 * another one replaces a table of it can end the process: whoever reads it passes through the lane of its writers.
 */
import type { ConnectionConfig } from '../../connections/config.ts'
import { duckLakeIdentity } from '../../connections/config/ducklake-config.ts'
import { createWriterLane } from '../../connections/limits/writer-lane.ts'

export interface LakeReader {
  /** Names of catalogs that it reads; null for any. */
  reads: readonly string[] | null
  /** The catalog that it writes to, whose lane is entered by its transaction; null for the main database. */
  own: string | null
  signal?: AbortSignal
}

/** @returns what to call when nothing is read any more. @throws the signal's reason. */
export async function enterLakes(
  connection: ConnectionConfig,
  { reads, own, signal }: LakeReader,
): Promise<() => void> {
  const lakes = lakesOf(connection)
  const ownLake = lakes.get(own ?? mainOf(connection))
  const others = [...lakes].filter(([name, lake]) => lake !== ownLake && (reads === null || reads.includes(name)))
  const lanes = [...new Set(others.map(([, lake]) => lake))].sort()
  // One of those who need several lanes at a time: else two of them may wait for each other.
  if (lanes.length + (ownLake === undefined ? 0 : 1) > 1 && lanes.length > 0) lanes.unshift(SEVERAL)
  const entered: (() => void)[] = []
  const leave = (): void => {
    for (const one of entered.reverse()) one()
  }
  try {
    // Nobody else keeps writers of other processes out: those change nothing in the memory of this one.
    for (const lane of lanes) entered.push(await createWriterLane(lane, null).enter(signal))
  } catch (error) {
    leave()
    throw error
  }
  return leave
}

/** No lake's identity. */
const SEVERAL = 'several lakes'

/** Identities of lakes, by catalog. */
function lakesOf(connection: ConnectionConfig): Map<string, string> {
  const lakes = new Map<string, string>()
  if (connection.type === 'ducklake') lakes.set(connection.database, duckLakeIdentity(connection))
  for (const [name, database] of Object.entries(connection.catalogs ?? {})) {
    if (database.type === 'ducklake') lakes.set(name, duckLakeIdentity(database))
  }
  return lakes
}

/** Empty where it is no lake. */
function mainOf(connection: ConnectionConfig): string {
  return connection.type === 'ducklake' ? connection.database : (connection.defaultCatalog ?? '')
}
