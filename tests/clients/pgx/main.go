// A client of PostgreSQL in Go: pgx, with its statement cache, in its simple protocol, with a pool. Prints "done".
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func expect(ok bool, what ...any) {
	if !ok {
		fmt.Fprintln(os.Stderr, append([]any{"unexpected:"}, what...)...)
		os.Exit(1)
	}
}

func use(ctx context.Context, url string, mode pgx.QueryExecMode) {
	config, err := pgx.ParseConfig(url)
	check(err)
	config.DefaultQueryExecMode = mode
	connection, err := pgx.ConnectConfig(ctx, config)
	check(err)
	defer connection.Close(ctx)

	var number int64
	var word string
	var price pgtype.Numeric
	var at time.Time
	var list []int32
	var nothing *string
	for i := int64(0); i < 10; i++ {
		check(connection.QueryRow(ctx, "SELECT $1::BIGINT + 1, 'ä', 12345.678::DECIMAL(18,3), TIMESTAMPTZ '2024-02-29 12:34:56+00', [1, 2]::INTEGER[], NULL::VARCHAR",
			i).Scan(&number, &word, &price, &at, &list, &nothing))
		expect(number == i+1 && word == "ä" && len(list) == 2 && nothing == nil && at.UTC().Hour() == 12, number, word, list, at)
		text, err := price.Value()
		check(err)
		expect(text == "12345.678", text)
	}
	_, err = connection.Exec(ctx, "DELETE FROM products")
	check(err)
	insert := "INSERT INTO products (id, name, price, tags) VALUES ($1, $2, $3, $4)"
	if mode == pgx.QueryExecModeSimpleProtocol { // the array is a text within the statement then, and SQL here has other ones
		insert = "INSERT INTO products (id, name, price, tags) VALUES ($1, $2, $3, string_split(trim($4, '{}'), ','))"
	}
	tag, err := connection.Exec(ctx, insert, int64(1), "tea", "2.50", []string{"a", "b"})
	check(err)
	expect(tag.RowsAffected() == 1, tag)
	var tags []string
	check(connection.QueryRow(ctx, "SELECT name, tags FROM products WHERE id = $1", int64(1)).Scan(&word, &tags))
	expect(word == "tea" && len(tags) == 2, word, tags)

	_, err = connection.Exec(ctx, "INSERT INTO products (id, name) VALUES ($1, $2)", int64(1), "again")
	var failed *pgconn.PgError
	expect(errors.As(err, &failed) && failed.Code == "23505", err)

	transaction, err := connection.Begin(ctx)
	check(err)
	for id := int64(10); id < 15; id++ {
		_, err = transaction.Exec(ctx, "INSERT INTO products (id, name) VALUES ($1, $2)", id, "many")
		check(err)
	}
	check(transaction.Commit(ctx))
	transaction, err = connection.Begin(ctx)
	check(err)
	_, err = transaction.Exec(ctx, "DELETE FROM products")
	check(err)
	check(transaction.Rollback(ctx))
	check(connection.QueryRow(ctx, "SELECT count(*) FROM products").Scan(&number))
	expect(number == 6, number)

	batch := &pgx.Batch{}
	for id := int64(20); id < 40; id++ {
		batch.Queue("INSERT INTO products (id, name) VALUES ($1, $2)", id, "batch")
	}
	check(connection.SendBatch(ctx, batch).Close())
	rows := [][]any{{int64(50), "copied"}, {int64(51), "copied"}}
	count, err := connection.CopyFrom(ctx, pgx.Identifier{"products"}, []string{"id", "name"}, pgx.CopyFromRows(rows))
	check(err)
	expect(count == 2, count)
	check(connection.QueryRow(ctx, "SELECT count(*) FROM products").Scan(&number))
	expect(number == 28, number)

	limited, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	_, err = connection.Exec(limited, "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range + b.range = 7")
	expect(err != nil, "the query was not cancelled")
}

func main() {
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		use(ctx, os.Args[1], mode)
	}
	fmt.Println("done")
}
