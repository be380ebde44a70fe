"""Short texts in many languages and formats, one per file kind, for the file-classification test."""

from __future__ import annotations

TEXTS: dict[str, str] = {}

TEXTS["ring.c"] = """\
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ring {
    uint8_t *bytes;
    size_t capacity, head, count;
};

int ring_push(struct ring *ring, uint8_t byte) {
    if (ring->count == ring->capacity) return -1;
    ring->bytes[(ring->head + ring->count++) % ring->capacity] = byte;
    return 0;
}

int main(void) {
    struct ring ring = {.bytes = calloc(16, 1), .capacity = 16};
    for (int i = 0; i < 20; i++) ring_push(&ring, (uint8_t)i);
    free(ring.bytes);
    return EXIT_SUCCESS;
}
"""

TEXTS["shapes.cpp"] = """\
#include <iostream>
#include <memory>
#include <vector>

namespace shapes {
class Shape {
  public:
    virtual ~Shape() = default;
    virtual double area() const = 0;
};

template <typename T> class Square final : public Shape {
  public:
    explicit Square(T side) : side_(side) {}
    double area() const override { return static_cast<double>(side_) * side_; }

  private:
    T side_;
};
}  // namespace shapes

int main() {
    std::vector<std::unique_ptr<shapes::Shape>> all;
    all.push_back(std::make_unique<shapes::Square<int>>(3));
    for (const auto &shape : all) std::cout << shape->area() << std::endl;
}
"""

TEXTS["Inventory.java"] = """\
package com.example.store;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** Counts of goods by name. */
public final class Inventory {
    private final Map<String, Integer> counts = new HashMap<>();

    public void add(String name, int amount) {
        counts.merge(name, amount, Integer::sum);
    }

    public Optional<Integer> count(String name) {
        return Optional.ofNullable(counts.get(name));
    }

    public static void main(String[] args) {
        Inventory inventory = new Inventory();
        inventory.add("lamp", 3);
        System.out.println(inventory.count("lamp").orElse(0));
    }
}
"""

TEXTS["Program.cs"] = """\
using System;
using System.Collections.Generic;
using System.Linq;

namespace Example.Orders
{
    public record Order(string Customer, decimal Total);

    public static class Program
    {
        public static void Main(string[] args)
        {
            var orders = new List<Order> { new("Ada", 12.5m), new("Bob", 7m) };
            foreach (var order in orders.Where(o => o.Total > 10).OrderBy(o => o.Customer))
            {
                Console.WriteLine($"{order.Customer}: {order.Total:C}");
            }
        }
    }
}
"""

TEXTS["server.go"] = """\
package main

import (
	"fmt"
	"log"
	"net/http"
)

type counter struct{ hits int }

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.hits++
	fmt.Fprintf(w, "hit %d on %s\\n", c.hits, r.URL.Path)
}

func main() {
	if err := http.ListenAndServe(":8080", &counter{}); err != nil {
		log.Fatal(err)
	}
}
"""

TEXTS["words.rs"] = """\
use std::collections::HashMap;
use std::io::{self, BufRead};

#[derive(Debug, Default)]
struct Counts {
    words: HashMap<String, usize>,
}

impl Counts {
    fn add(&mut self, line: &str) {
        for word in line.split_whitespace() {
            *self.words.entry(word.to_lowercase()).or_insert(0) += 1;
        }
    }
}

fn main() -> io::Result<()> {
    let mut counts = Counts::default();
    for line in io::stdin().lock().lines() {
        counts.add(&line?);
    }
    println!("{:?}", counts);
    Ok(())
}
"""

TEXTS["Queue.swift"] = """\
import Foundation

struct Queue<Element> {
    private var items: [Element] = []
    private(set) var highWater = 0

    mutating func push(_ element: Element) {
        items.append(element)
        highWater = max(highWater, items.count)
    }

    mutating func pop() -> Element? {
        guard !items.isEmpty else { return nil }
        return items.removeFirst()
    }
}

extension Queue: CustomStringConvertible {
    var description: String { "Queue of \\(items.count)" }
}
"""

TEXTS["Main.kt"] = """\
package com.example

data class Point(val x: Int, val y: Int)

sealed interface Move {
    data class Step(val dx: Int, val dy: Int) : Move
    object Stay : Move
}

fun Point.apply(move: Move): Point = when (move) {
    is Move.Step -> copy(x = x + move.dx, y = y + move.dy)
    Move.Stay -> this
}

fun main() {
    val end = listOf(Move.Step(1, 2), Move.Stay).fold(Point(0, 0)) { point, move -> point.apply(move) }
    println("ended at ${end.x}, ${end.y}")
}
"""

TEXTS["backup.sh"] = """\
#!/bin/bash
set -euo pipefail

target="${1:?usage: backup.sh TARGET}"
stamp=$(date +%Y-%m-%d)

mkdir -p "$target/$stamp"
for folder in "$HOME/documents" "$HOME/pictures"; do
    if [ -d "$folder" ]; then
        tar -czf "$target/$stamp/$(basename "$folder").tar.gz" -C "$folder" .
    else
        echo "no such folder: $folder" >&2
    fi
done
find "$target" -maxdepth 1 -mtime +30 -exec rm -rf {} +
"""

TEXTS["Makefile"] = """\
CC ?= cc
CFLAGS += -O2 -Wall -Wextra
OBJECTS := main.o ring.o

.PHONY: all clean

all: program

program: $(OBJECTS)
	$(CC) $(CFLAGS) -o $@ $^

%.o: %.c ring.h
	$(CC) $(CFLAGS) -c -o $@ $<

clean:
	rm -f program $(OBJECTS)
"""

TEXTS["CMakeLists.txt"] = """\
cmake_minimum_required(VERSION 3.20)
project(example VERSION 1.2.0 LANGUAGES C CXX)

option(EXAMPLE_TESTS "Build the tests" ON)
set(CMAKE_CXX_STANDARD 17)

add_library(ring STATIC src/ring.c)
target_include_directories(ring PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include)

add_executable(example src/main.cpp)
target_link_libraries(example PRIVATE ring)

if(EXAMPLE_TESTS)
    enable_testing()
    add_subdirectory(tests)
endif()
"""

TEXTS["Dockerfile"] = """\
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make all

FROM debian:bookworm-slim
COPY --from=build /src/program /usr/local/bin/program
EXPOSE 8080
USER nobody
ENTRYPOINT ["/usr/local/bin/program"]
CMD ["--port", "8080"]
"""

TEXTS["settings.ini"] = """\
; settings of the mail service
[general]
name = Mail Service
debug = no
workers = 4

[smtp]
host = mail.example.org
port = 587
user = service
tls = yes

[paths]
spool = /var/spool/mail-service
log = /var/log/mail-service.log
"""

TEXTS["project.toml"] = """\
[package]
name = "counter"
version = "0.3.1"
edition = "2021"
authors = ["A. Person <a.person@example.org>"]

[dependencies]
serde = { version = "1.0", features = ["derive"] }
clap = "4.4"

[profile.release]
lto = true
opt-level = 3

[[bin]]
name = "counter"
path = "src/main.rs"
"""

TEXTS["pipeline.yaml"] = """\
name: checks
on:
  push:
    branches: [main]
  pull_request: {}
jobs:
  test:
    runs-on: ubuntu-22.04
    strategy:
      matrix:
        version: ["3.10", "3.11", "3.12"]
    steps:
      - uses: actions/checkout@v4
      - name: Run the tests
        run: |
          pip install -r requirements.txt
          pytest -q
"""

TEXTS["guide.md"] = """\
# A small guide

This tool reads **measurements** and writes a report. It has *two* commands.

## Installing

```bash
pip install measure-report
```

## Commands

| command | what it does |
|---------|--------------|
| `read`  | reads a file |
| `write` | writes the report |

1. Run `read` first.
2. Then see [the manual](https://example.org/manual).

> Note: both need a configuration file.
"""

TEXTS["notes.rst"] = """\
=============
Release notes
=============

.. contents::
   :depth: 2

Version 1.4
-----------

* New option ``--fast``, see :ref:`options`.
* The class :py:class:`measure.Report` accepts a path.

.. code-block:: python

   from measure import Report
   Report("today.csv").write()

.. note::

   Older files are converted when they are read.
"""

TEXTS["paper.tex"] = r"""\documentclass[11pt]{article}
\usepackage{amsmath}
\usepackage{graphicx}
\title{On Rings of Bytes}
\author{A. Person}
\begin{document}
\maketitle
\section{Introduction}
Let $n \ge 1$ be the capacity. The position of the $k$-th byte is
\begin{equation}
  p_k = (h + k) \bmod n .
\end{equation}
\begin{itemize}
  \item Pushing takes $O(1)$ time.
  \item See Figure~\ref{fig:ring}.
\end{itemize}
\end{document}
"""

TEXTS["schema.sql"] = """\
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

CREATE INDEX customers_by_name ON customers (name);

INSERT INTO customers (id, name) VALUES (1, 'Ada'), (2, 'Bob');

SELECT c.name, COUNT(o.id) AS orders
FROM customers c
LEFT JOIN orders o ON o.customer_id = c.id
WHERE c.created_at > '2024-01-01'
GROUP BY c.name
HAVING COUNT(o.id) > 2
ORDER BY orders DESC;
"""

TEXTS["page.html"] = """\
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Inventory</title>
  <link rel="stylesheet" href="style.css">
</head>
<body>
  <h1>Inventory</h1>
  <table>
    <tr><th>Name</th><th>Count</th></tr>
    <tr><td>lamp</td><td>3</td></tr>
  </table>
  <p>See <a href="https://example.org">the shop</a>.</p>
</body>
</html>
"""

TEXTS["style.css"] = """\
:root {
  --accent: #2a6fb0;
}

body {
  margin: 0 auto;
  max-width: 60rem;
  font-family: "Source Sans", sans-serif;
}

table tr:nth-child(even) td {
  background-color: #f2f2f2;
}

@media (max-width: 600px) {
  .menu { display: none; }
}
"""

TEXTS["theme.scss"] = """\
$accent: #2a6fb0;
$gap: 12px;

@mixin card($padding: $gap) {
  padding: $padding;
  border: 1px solid lighten($accent, 20%);
}

.card {
  @include card;
  &:hover { border-color: $accent; }
  .title {
    font-size: 1.2 * $gap;
    @extend %heading;
  }
}
"""

TEXTS["cart.js"] = """\
'use strict';

const fs = require('fs');

class Cart {
  constructor() {
    this.items = new Map();
  }

  add(name, price) {
    const entry = this.items.get(name) || { price, count: 0 };
    this.items.set(name, { ...entry, count: entry.count + 1 });
    return this;
  }

  total() {
    return [...this.items.values()].reduce((sum, { price, count }) => sum + price * count, 0);
  }
}

module.exports = { Cart };
console.log(new Cart().add('lamp', 12.5).add('lamp', 12.5).total());
"""

TEXTS["api.ts"] = """\
import { Injectable } from '@angular/core';
import { Observable, of } from 'rxjs';

export interface Customer {
  readonly id: number;
  name: string;
  tags?: string[];
}

type Result<T> = { ok: true; value: T } | { ok: false; error: Error };

@Injectable({ providedIn: 'root' })
export class CustomerService {
  private cache: Map<number, Customer> = new Map<number, Customer>();

  find(id: number): Observable<Result<Customer>> {
    const value = this.cache.get(id);
    return of(value ? { ok: true, value } : { ok: false, error: new Error(`no customer ${id}`) });
  }
}
"""

TEXTS["List.vue"] = """\
<template>
  <ul class="list">
    <li v-for="item in items" :key="item.id" @click="select(item)">{{ item.name }}</li>
  </ul>
</template>

<script>
export default {
  name: 'ItemList',
  props: { items: { type: Array, required: true } },
  methods: {
    select(item) {
      this.$emit('selected', item.id);
    },
  },
};
</script>

<style scoped>
.list { padding: 0; }
</style>
"""

TEXTS["catalog.xml"] = """\
<?xml version="1.0" encoding="UTF-8"?>
<catalog xmlns="urn:example:catalog">
  <item id="1">
    <name>Lamp</name>
    <price currency="EUR">12.50</price>
  </item>
  <item id="2">
    <name>Chair</name>
    <price currency="EUR">40.00</price>
  </item>
</catalog>
"""

TEXTS["logo.svg"] = """\
<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="120" height="120" viewBox="0 0 120 120">
  <title>Logo</title>
  <defs><linearGradient id="g"><stop offset="0" stop-color="#fff"/><stop offset="1"/></linearGradient></defs>
  <circle cx="60" cy="60" r="50" fill="url(#g)" stroke="#2a6fb0" stroke-width="4"/>
  <path d="M20 60 L100 60 M60 20 L60 100" stroke="black"/>
</svg>
"""

TEXTS["report.rtf"] = r"""{\rtf1\ansi\deff0{\fonttbl{\f0\fswiss Helvetica;}{\f1\froman Times New Roman;}}
{\colortbl;\red0\green0\blue0;\red42\green111\blue176;}
\viewkind4\uc1\pard\f0\fs24 Quarterly {\b report}\par
\pard\f1\fs20 All figures in {\i thousands}.\par
\cf2 Thank you.\cf1\par
}
"""

TEXTS["message.eml"] = """\
Return-Path: <ada@example.org>
Received: from mail.example.org (mail.example.org [192.0.2.10]) by mx.example.net with ESMTPS id 1234
 for <bob@example.net>; Mon, 3 Jun 2024 10:15:00 +0200
From: Ada <ada@example.org>
To: Bob <bob@example.net>
Subject: The figures of May
Date: Mon, 3 Jun 2024 10:14:58 +0200
Message-ID: <20240603101458.1234@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: 8bit

Hello Bob,

here are the figures of May. See you on Thursday.

Ada
"""

TEXTS["change.diff"] = """\
diff --git a/src/ring.c b/src/ring.c
index 83db48f..bf2a5c1 100644
--- a/src/ring.c
+++ b/src/ring.c
@@ -8,7 +8,8 @@ struct ring {
 };

 int ring_push(struct ring *ring, uint8_t byte) {
-    if (ring->count > ring->capacity) return -1;
+    if (ring->count == ring->capacity)
+        return -1;
     ring->bytes[(ring->head + ring->count++) % ring->capacity] = byte;
     return 0;
 }
"""

TEXTS["report.pl"] = """\
#!/usr/bin/perl
use strict;
use warnings;

my %count;
while (my $line = <STDIN>) {
    chomp $line;
    next if $line =~ /^\\s*#/;
    $count{$_}++ for split /\\W+/, lc $line;
}

foreach my $word (sort { $count{$b} <=> $count{$a} } keys %count) {
    printf "%-20s %5d\\n", $word, $count{$word};
}
"""

TEXTS["account.rb"] = """\
require 'json'

module Bank
  class Account
    attr_reader :owner, :balance

    def initialize(owner, balance = 0)
      @owner = owner
      @balance = balance
    end

    def deposit(amount)
      raise ArgumentError, 'amount must be positive' unless amount.positive?
      @balance += amount
      self
    end

    def to_json(*args)
      { owner: owner, balance: balance }.to_json(*args)
    end
  end
end

puts [Bank::Account.new('Ada').deposit(10)].map(&:to_json).join("\\n")
"""

TEXTS["form.php"] = """\
<?php
declare(strict_types=1);

namespace App\\Forms;

final class ContactForm
{
    private array $errors = [];

    public function validate(array $input): bool
    {
        foreach (['name', 'email'] as $field) {
            if (empty($input[$field])) {
                $this->errors[$field] = "$field is required";
            }
        }
        return count($this->errors) === 0;
    }
}

$form = new ContactForm();
echo $form->validate($_POST) ? 'ok' : 'failed';
"""

TEXTS["config.lua"] = """\
local Stack = {}
Stack.__index = Stack

function Stack.new()
  return setmetatable({ items = {}, size = 0 }, Stack)
end

function Stack:push(value)
  self.size = self.size + 1
  self.items[self.size] = value
end

local stack = Stack.new()
for i = 1, 10 do
  if i % 2 == 0 then
    stack:push(i)
  end
end
print("size: " .. stack.size)
"""

TEXTS["Setup.ps1"] = """\
param(
    [Parameter(Mandatory = $true)]
    [string]$Path,
    [switch]$Force
)

function Get-LargeFile {
    param([string]$Folder, [int]$MinimumMB = 100)
    Get-ChildItem -Path $Folder -Recurse -File |
        Where-Object { $_.Length -gt ($MinimumMB * 1MB) } |
        Select-Object FullName, Length
}

if (-not (Test-Path $Path)) {
    Write-Error "No such folder: $Path"
    exit 1
}
Get-LargeFile -Folder $Path | Export-Csv -Path "large.csv" -NoTypeInformation
"""

TEXTS["build.bat"] = """\
@echo off
setlocal enabledelayedexpansion
set BUILD_DIR=%~dp0build
if not exist "%BUILD_DIR%" mkdir "%BUILD_DIR%"
for %%f in (*.c) do (
    echo Compiling %%f
    cl /nologo /O2 /c "%%f" /Fo"%BUILD_DIR%\\%%~nf.obj"
    if errorlevel 1 goto :failed
)
echo Done.
exit /b 0
:failed
echo Build failed with error %errorlevel%
exit /b 1
"""

TEXTS["Tree.hs"] = """\
module Tree (Tree, insert, toList) where

import qualified Data.Map as Map
import Data.Maybe (fromMaybe)

data Tree a = Leaf | Node (Tree a) a (Tree a)
  deriving (Show, Eq)

insert :: Ord a => a -> Tree a -> Tree a
insert x Leaf = Node Leaf x Leaf
insert x t@(Node l y r)
  | x < y     = Node (insert x l) y r
  | x > y     = Node l y (insert x r)
  | otherwise = t

toList :: Tree a -> [a]
toList Leaf = []
toList (Node l x r) = toList l ++ [x] ++ toList r
"""

TEXTS["Actors.scala"] = """\
package com.example

import scala.collection.mutable
import scala.util.{Failure, Success, Try}

sealed trait Command
case class Add(name: String, count: Int) extends Command
case object Clear extends Command

object Store extends App {
  private val counts = mutable.Map.empty[String, Int].withDefaultValue(0)

  def handle(command: Command): Try[Unit] = command match {
    case Add(name, count) if count > 0 => Success(counts.update(name, counts(name) + count))
    case Add(_, _)                     => Failure(new IllegalArgumentException("count"))
    case Clear                         => Success(counts.clear())
  }

  println(handle(Add("lamp", 3)))
}
"""

TEXTS["analysis.r"] = """\
library(ggplot2)
library(dplyr)

measurements <- read.csv("measurements.csv", stringsAsFactors = FALSE)

summary_by_group <- measurements %>%
  filter(!is.na(value)) %>%
  group_by(group) %>%
  summarise(mean = mean(value), sd = sd(value))

model <- lm(value ~ group + temperature, data = measurements)
print(summary(model))

ggplot(measurements, aes(x = temperature, y = value, colour = group)) +
  geom_point() +
  geom_smooth(method = "lm")
"""

TEXTS["tree.erl"] = """\
-module(counter).
-behaviour(gen_server).
-export([start_link/0, increment/1, init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

increment(Name) ->
    gen_server:call(?MODULE, {increment, Name}).

init([]) ->
    {ok, #{}}.

handle_call({increment, Name}, _From, State) ->
    Count = maps:get(Name, State, 0) + 1,
    {reply, Count, State#{Name => Count}}.

handle_cast(_Message, State) ->
    {noreply, State}.
"""

TEXTS["service.proto"] = """\
syntax = "proto3";

package example.inventory.v1;

option go_package = "example.org/inventory/v1;inventory";

message Item {
  string name = 1;
  int64 count = 2;
  repeated string tags = 3;
}

message GetItemRequest {
  string name = 1;
}

service Inventory {
  rpc GetItem(GetItemRequest) returns (Item);
  rpc ListItems(GetItemRequest) returns (stream Item);
}
"""

TEXTS["main.tf"] = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

resource "aws_s3_bucket" "reports" {
  bucket = "example-reports-${var.region}"
  tags = {
    Name = "reports"
  }
}

output "bucket" {
  value = aws_s3_bucket.reports.arn
}
"""

TEXTS["film.srt"] = """\
1
00:00:01,000 --> 00:00:03,500
It was a quiet morning.

2
00:00:04,000 --> 00:00:06,250
Nobody had seen the <i>lamp</i>.

3
00:00:07,100 --> 00:00:09,900
- Where is it?
- I do not know.

4
00:00:11,000 --> 00:00:13,000
They looked everywhere.
"""

TEXTS["talk.vtt"] = """\
WEBVTT

NOTE recorded in May

00:00:01.000 --> 00:00:03.500 align:start
<v Ada>Welcome to the talk.

00:00:04.000 --> 00:00:06.250
Today it is about rings of bytes.

00:00:07.000 --> 00:00:09.000
And about tensors.
"""

TEXTS["meeting.ics"] = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Calendar 1.0//EN
BEGIN:VEVENT
UID:20240603T101500-1@example.org
DTSTAMP:20240603T081500Z
DTSTART:20240606T120000Z
DTEND:20240606T130000Z
SUMMARY:Figures of May
LOCATION:Room 12
RRULE:FREQ=WEEKLY;COUNT=4
END:VEVENT
END:VCALENDAR
"""

TEXTS["german.po"] = """\
msgid ""
msgstr ""
"Project-Id-Version: example 1.0\\n"
"Language: de\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

#: src/main.c:12
msgid "Open file"
msgstr "Datei öffnen"

#: src/main.c:20
#, c-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"
"""

TEXTS["letter.txt"] = """\
Dear neighbours,

next Saturday the well in the old courtyard will be cleaned. Please bring buckets and, if you have them, ladders.
We start at nine in the morning and hope to be done by noon; after that there will be soup for everybody.

Those who cannot come may leave their tools with Mrs. Winter on the second floor.

With kind regards
the house committee
"""

TEXTS["counter.v"] = """\
`timescale 1ns / 1ps

module counter #(parameter WIDTH = 8) (
    input  wire             clk,
    input  wire             reset,
    output reg  [WIDTH-1:0] count
);

always @(posedge clk or posedge reset) begin
    if (reset)
        count <= {WIDTH{1'b0}};
    else
        count <= count + 1'b1;
end

endmodule
"""

TEXTS["hello.asm"] = """\
section .data
    message db "hello", 10
    length  equ $ - message

section .text
    global _start

_start:
    mov rax, 1
    mov rdi, 1
    mov rsi, message
    mov rdx, length
    syscall
    mov rax, 60
    xor rdi, rdi
    syscall
"""
