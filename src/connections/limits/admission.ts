/** Lets transactions begin: any number, one at a time, or none for a while. */
export interface Admission {
  /** Before BEGIN. @returns what to call after the transaction's end. @throws the signal's reason. */
  enter(signal?: AbortSignal): Promise<() => void>
}
