// The vocabulary of answering. An expected outcome is a value; an exception means a broken invariant or a
// broken network (docs/architecture.md, "Rules are values").
import type { Denial } from './denial.ts'

export type Ok<T> = { readonly ok: true; readonly value: T }
export type Denied<D> = { readonly ok: false; readonly denial: D }
export type Result<T, D = Denial> = Ok<T> | Denied<D>

export function ok<T>(value: T): Ok<T> {
  return { ok: true, value }
}

export function deny<const D extends Denial>(denial: D): Denied<D> {
  return { ok: false, denial }
}
