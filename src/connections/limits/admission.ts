/** Lets transactions begin: any number, one at a time, or none for a while. */
export interface Admission {
  /** Before BEGIN. @returns what to call after the transaction's end. @throws the signal's reason. */
  enter(signal?: AbortSignal): Promise<() => void>
}

/** Transactions of one database that must not overlap. */
export interface WriterLane extends Admission {
  /** Statements that follow BEGIN and keep writers of other processes out until the transaction ends; empty where there are none. */
  readonly begin: string
}
