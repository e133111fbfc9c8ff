#!/usr/bin/perl
# Writes words_table.h, the facts about characters that words.c needs, from
# Perl's copy of the Unicode character database:
#
#   perl src/core/make_words_table.pl > src/core/words_table.h
#
# The result is kept, not made when building: what an index holds follows from
# it, so it must not change with the machine.  A new table asks for REINDEX.
use strict;
use warnings;
use utf8;
use feature qw(fc unicode_strings);
use Unicode::UCD;

my $last = 0x10FFFF;
my $unspaced = join '|', map { "\\p{scx=$_}" }
	qw(Han Hira Kana Bopo Hang Thai Lao Khmer Mymr Tibt Lana Tale Talu Yiii Java Bali Tavt);

sub class_of
{
	my ($code) = @_;
	return 'separator' if $code >= 0xD800 && $code <= 0xDFFF || $code == 0xFFFC || $code == 0xFFFD;
	my $char = chr $code;
	return 'ignored' if $char =~ /\p{Default_Ignorable_Code_Point}/ || $code >= 0x1F3FB && $code <= 0x1F3FF;
	return 'mark' if $char =~ /\p{M}/;
	return 'unspaced' if $char =~ /[\p{L}\p{Nl}\p{No}]/ && $char =~ /$unspaced/;
	return 'letter' if $char =~ /[\p{L}\p{N}]/;
	return 'unspaced' if $char =~ /\p{So}|(?=\p{Cn})\p{Extended_Pictographic}/;
	return $char =~ /\p{Cn}/ ? 'none' : 'separator';
}

# What is not assigned is as its neighbours, where these are alike.
my @ranges;
for my $code (0x80 .. $last) {
	my $class = class_of($code);
	next if $class eq 'none';
	if (@ranges && $ranges[-1][2] eq $class && ($class ne 'mark' || $ranges[-1][1] == $code - 1)) { $ranges[-1][1] = $code }
	else { push @ranges, [$code, $code, $class] }
}

# The simple case folding; lower case where the folding is of several characters.
sub folded
{
	my ($char) = @_;
	return ord 'i' if ord $char == 0x130;
	for my $other (CORE::fc($char), lc $char) { return ord $other if length $other == 1 }
	return ord $char;
}

my @folds;
for my $code (0x80 .. $last) {
	next if $code >= 0xD800 && $code <= 0xDFFF;
	my $delta = folded(chr $code) - $code or next;
	my $row = @folds ? $folds[-1] : undef;
	my $step = $row ? $code - $row->[1] : 0;
	if ($row && $row->[3] == $delta && ($step == $row->[2] || $row->[0] == $row->[1] && $step <= 2)) { @$row[1, 2] = ($code, $step) }
	else { push @folds, [$code, $code, 1, $delta] }
}

# Three to a line.
sub print_rows { while (my @some = splice @_, 0, 3) { print "\t", join(', ', @some), ",\n" } }

print <<"END";
/*
 * words_table.h - classes and case foldings of characters from U+0080 on
 *
 * Made by make_words_table.pl of Unicode @{[Unicode::UCD::UnicodeVersion()]}.  For words.c alone.
 */
static const struct
{
	uint32_t	first;
	uint32_t	last;
	mx_char_class class;
}			classes[] = {
END
print_rows(map { sprintf '{0x%04X, 0x%04X, MX_CHAR_%s}', $_->[0], $_->[1], uc $_->[2] } grep { $_->[2] ne 'separator' } @ranges);
print <<"END";
};

/* From first to last by step, the folded character is that far away. */
static const struct
{
	uint32_t	first;
	uint32_t	last;
	int32_t		step;
	int32_t		delta;
}			folds[] = {
END
print_rows(map { sprintf '{0x%04X, 0x%04X, %d, %d}', @$_ } @folds);
print "};\n";
