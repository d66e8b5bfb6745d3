// What a command's end tells the shell.

/** Exit codes. `denied`: denied by a rule, or failed. `configuration`: sysexits' EX_CONFIG. */
export const EXIT = { ok: 0, denied: 1, usage: 2, configuration: 78 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
