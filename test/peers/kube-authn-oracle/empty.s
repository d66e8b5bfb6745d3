// Lets the compiler take the functions without a body in main.go.
