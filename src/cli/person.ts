// Who runs a command, for the audit event: as the shell says, and nobody proves it.
import { MAX_LEVER_TEXT } from '#core/levers.ts'
import type { CommandIo } from './command.ts'

/** `named`: what the person says of itself. */
export function personOf(named: string | undefined, { env }: Pick<CommandIo, 'env'>): string {
  return (named ?? env['SUDO_USER'] ?? env['USER'] ?? env['LOGNAME'] ?? 'unknown').slice(0, MAX_LEVER_TEXT)
}
