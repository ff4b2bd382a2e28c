/** Measurements → Markdown: a table of times, the ratios, and whether each aim was met. */
import { availableParallelism } from 'node:os'
import { summarize, type Spread } from './measure.ts'
import type { Peer } from './peers/peer.ts'

export interface Measurements {
  peer: Peer
  /** Whole command from cold. */
  commandMs: number[]
  /** The build alone, as the peer itself reports it. */
  buildMs: number[]
  /** Whole command again with nothing changed. */
  unchangedMs: number[]
}

export interface ReportInput {
  size: number
  runs: number
  /** One line per peer: versions and settings. */
  descriptions: readonly string[]
  measurements: readonly Measurements[]
  /** The highest one-minute load average seen before a run. */
  load: number
}

export function formatReport({ size, runs, descriptions, measurements, load }: ReportInput): string {
  const date = new Date().toISOString().slice(0, 10)
  return [
    `### ${size} models`,
    '',
    `${date}, ${availableParallelism()} cores, load average up to ${load.toFixed(1)} (the benchmark's own included). ` +
      `Runs of each, in turn: ${runs}; median (least–most) in seconds. All tables equal.`,
    '',
    ...descriptions.map((line) => `- ${line}`),
    '',
    '| | whole command from cold | build alone | again, nothing changed |',
    '|---|---|---|---|',
    ...measurements.map(formatRow),
    '',
    ...formatRatios(size, measurements),
    '',
  ].join('\n')
}

function formatRow({ peer, commandMs, buildMs, unchangedMs }: Measurements): string {
  const note = peer.unchanged === 'rebuilds' ? ' (builds all again)' : ''
  return `| ${peer.name} | ${seconds(commandMs)} | ${seconds(buildMs)} | ${seconds(unchangedMs)}${note} |`
}

function seconds(values: readonly number[]): string {
  const spread = summarize(values)
  if (spread === null) return '–'
  const [median, min, max] = [spread.medianMs, spread.minMs, spread.maxMs].map((ms) => (ms / 1000).toFixed(2))
  return `${median} (${min}–${max})`
}

type Column = 'commandMs' | 'buildMs' | 'unchangedMs'

interface Aim {
  column: Column
  title: string
  /** Whose time divides Millrace's, or is divided by it. */
  other: string
  direction: 'times as long as' | 'times faster than'
  bound: number
}

/** They are about the size where a tool's own work outweighs its start; at other sizes the ratios stand without them. */
const aimedSize = 500

const aims: readonly Aim[] = [
  { column: 'buildMs', title: 'build', other: 'raw DuckDB', direction: 'times as long as', bound: 1 },
  { column: 'buildMs', title: 'build', other: 'dbt-duckdb', direction: 'times faster than', bound: 8 },
  { column: 'buildMs', title: 'build', other: 'SQLMesh', direction: 'times faster than', bound: 8 },
  {
    column: 'commandMs',
    title: 'whole command',
    other: 'dbt-duckdb',
    direction: 'times faster than',
    bound: 4,
  },
  {
    column: 'commandMs',
    title: 'whole command',
    other: 'SQLMesh',
    direction: 'times faster than',
    bound: 4,
  },
  {
    column: 'unchangedMs',
    title: 'nothing changed',
    other: 'SQLMesh',
    direction: 'times as long as',
    bound: 0.5,
  },
]

/** Each aim for each Millrace row; the other peers beside raw DuckDB, so that a run without Millrace says something too. */
function formatRatios(size: number, measurements: readonly Measurements[]): string[] {
  const isOwn = ({ peer }: Measurements): boolean => peer.name.startsWith('Millrace')
  const find = (name: string): Measurements | undefined => measurements.find(({ peer }) => peer.name === name)
  const raw = find('raw DuckDB')
  const besideRaw = measurements
    .filter((one) => raw !== undefined && one !== raw && !isOwn(one))
    .flatMap((one) => {
      const value = ratio(one.buildMs, raw?.buildMs ?? [])
      return value === null ? [] : [`- build, ${one.peer.name}: ${value.toFixed(2)} times as long as raw DuckDB`]
    })
  const reached = measurements
    .filter(isOwn)
    .flatMap((own) => aims.flatMap((aim) => formatAim(aim, { size, own, other: find(aim.other) })))
  return [...besideRaw, ...reached]
}

interface Compared {
  size: number
  own: Measurements
  other: Measurements | undefined
}

function formatAim(aim: Aim, { size, own, other }: Compared): string[] {
  const [mine, theirs] = [own[aim.column], other?.[aim.column] ?? []]
  const asLong = aim.direction === 'times as long as'
  const value = asLong ? ratio(mine, theirs) : ratio(theirs, mine)
  if (value === null) return []
  const text = `- ${aim.title}, ${own.peer.name}: ${value.toFixed(2)} ${aim.direction} ${aim.other}`
  if (size !== aimedSize) return [text]
  const met = asLong ? value <= aim.bound : value >= aim.bound
  return [`${text} (aim: ${asLong ? 'at most' : 'at least'} ${aim.bound}; ${met ? 'met' : '**missed**'})`]
}

function ratio(numerator: readonly number[], denominator: readonly number[]): number | null {
  const [above, below]: [Spread | null, Spread | null] = [summarize(numerator), summarize(denominator)]
  return above === null || below === null ? null : above.medianMs / below.medianMs
}
